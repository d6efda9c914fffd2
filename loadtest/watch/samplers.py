"""Samples something once per second in its own thread, so that nothing waits for it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

EVERY_SECONDS = 1.0


class Sampler(Generic[T]):
    """Calls `take` once per second and appends the result to `samples`.

    A call that takes longer than a second costs the calls that were due meanwhile. What `take`
    raises ends the sampler, and comes out of `check` and `stop`.
    """

    def __init__(self, name: str, take: Callable[[], list[T]], samples: list[T]) -> None:
        self.samples = samples
        self._take = take
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raise what ended it, if something has."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End it after the call that is under way."""
        self._over.set()
        self._thread.join()
        self.check()

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                self.samples.extend(self._take())
                now = time.monotonic()
                while due <= now:
                    due += EVERY_SECONDS
        except BaseException as error:  # noqa: BLE001 - it crosses over to the thread that asks
            self._error = error
