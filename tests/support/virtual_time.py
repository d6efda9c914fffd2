"""An event loop whose time stands still while anything is left to do, and then jumps.

What takes minutes takes milliseconds, the same on a busy machine, and ends at the same moment each
time. Nothing waits for files or sockets: what a test puts in their place says itself when it is
ready.
"""

import asyncio
import contextvars
import math
import selectors
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextlib import ExitStack
from types import ModuleType
from typing import Any, TypeVar, TypeVarTuple
from unittest.mock import patch

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEGIN = 1_795_782_600  # Unix time at which a clock begins unless told otherwise: a whole minute
UPTIME_SECONDS = 1000  # of the machine by then
NANOSECONDS = 1_000_000_000
MOST_TURNS = 10_000  # of the loop at one and the same moment

SKEW: contextvars.ContextVar[float] = contextvars.ContextVar("SKEW", default=0.0)
"""By how many seconds the wall clock of the task that asks is ahead."""


class VirtualClock:
    """Stands in for the module `time`."""

    def __init__(self, begin: float = BEGIN) -> None:
        self._passed = 0  # nanoseconds
        self._wall = round(begin * NANOSECONDS)

    def monotonic(self) -> float:
        return UPTIME_SECONDS + self._passed / NANOSECONDS

    def time(self) -> float:
        return self.time_ns() / NANOSECONDS

    def time_ns(self) -> int:
        return self._wall + self._passed + round(SKEW.get() * NANOSECONDS)

    def advance(self, seconds: float) -> None:
        """Let at least so many seconds pass."""
        self._passed += math.ceil(seconds * NANOSECONDS)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forward by so many seconds, or back if they are negative."""
        self._wall += round(seconds * NANOSECONDS)


class _Selector(selectors.SelectSelector):
    """Never waits: where nothing is ready the time of the next timer has come."""

    def __init__(self, clock: VirtualClock, ready: Callable[[int], int]) -> None:
        super().__init__()
        self._clock = clock
        self._ready = ready
        self._turns = 0
        self._keys = self.get_map()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = []
        for key in self._keys.values():
            events = self._ready(key.fd) & key.events
            if events:
                found.append((key, events))
        self._turns += 1
        if not found and timeout != 0:
            if timeout is None:
                raise RuntimeError("everything waits, and nothing will ever happen")
            self._clock.advance(timeout)
            self._turns = 0
        if self._turns > MOST_TURNS:
            raise RuntimeError("something is always ready, and no time passes")
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """`ready(fd)` says which of EVENT_READ and EVENT_WRITE hold for a descriptor."""

    def __init__(self, clock: VirtualClock, ready: Callable[[int], int] = lambda _fd: 0) -> None:
        self._clock = clock
        super().__init__(_Selector(clock, ready))

    def time(self) -> float:
        return self._clock.monotonic()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """What would block in a thread is done on the next turn, here."""
        assert executor is None

        async def work() -> T:
            return func(*args)

        return self.create_task(work())


def run(
    test: Coroutine[Any, Any, T],
    clock: VirtualClock,
    modules: Iterable[ModuleType],
    ready: Callable[[int], int] = lambda _fd: 0,
    seconds: float = 100_000,
) -> T:
    """What `test` returns, run to its end in at most so much virtual time.

    `modules` are those that shall read `clock` where they ask the module `time`.
    """

    async def limited() -> T:
        async with asyncio.timeout(seconds):
            return await test

    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(patch.object(module, "time", clock))
        runner = asyncio.Runner(loop_factory=lambda: VirtualLoop(clock, ready))
        return stack.enter_context(runner).run(limited())
