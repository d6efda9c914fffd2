"""When to start nothing new."""

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic


class Stop:
    """Says when a run is over: after its seconds, or as soon as `now` is called."""

    def __init__(self, seconds: float | None) -> None:
        """`seconds` count from here; None never runs out."""
        self.began = monotonic()
        self.seconds = seconds
        self._called = asyncio.Event()

    @property
    def called(self) -> bool:
        """Whether somebody asked to stop."""
        return self._called.is_set()

    @property
    def due(self) -> bool:
        """Whether nothing new may start."""
        return self.called or self._left() <= 0

    def now(self) -> None:
        self._called.set()

    async def pause(self, seconds: float) -> None:
        """Wait that long, or until the stop if that comes first."""
        end = monotonic() + seconds
        while not self.due and (left := min(end - monotonic(), self._left())) > 0:
            # The event loop's timers may fire a millisecond early: hence the `while`.
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._called.wait()

    def _left(self) -> float:
        return inf if self.seconds is None else self.began + self.seconds - monotonic()
