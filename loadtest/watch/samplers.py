"""Samples something once per second in its own thread, so that nothing waits for it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

EVERY_SECONDS = 1.0


class Sampler(Generic[T]):
    """Calls `take` once per second and appends the result to `samples`.

    A call that takes longer than a second costs the calls that were due meanwhile. A call that
    raises costs its sample, and is in `trouble`: the run that is watched goes on.
    """

    def __init__(self, name: str, take: Callable[[], list[T]], samples: list[T]) -> None:
        self.samples = samples
        self.trouble = ""
        """Which samples are missing and why, in words; empty if all is well."""
        self._name = name
        self._take = take
        self._failures = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it after the call that is under way."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            try:
                self.samples.extend(self._take())
            except Exception as error:  # noqa: BLE001 - whatever it is, the load is worth more
                self._failures += 1
                self.trouble = (
                    f"samples of the {self._name} are missing, {self._failures:,} times; the last "
                    f"time for {type(error).__name__}: {error}"
                )
            now = time.monotonic()
            while due <= now:
                due += EVERY_SECONDS
