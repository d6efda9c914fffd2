"""Waiting for a condition, with a deadline and a reason."""

import time
from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], what: str, seconds: float = 15.0, every: float = 0.02
) -> T:
    """The first truthy value of `condition`. Raises TimeoutError that shows the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s; the last value was {value!r}")
        time.sleep(every)


def wait_until_none(
    found: Callable[[], Collection[object]], what: str, seconds: float = 15.0, every: float = 0.02
) -> None:
    """Return when nothing is found any more. Raises TimeoutError that shows what last was."""
    deadline = time.monotonic() + seconds
    while left := found():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: still there after {seconds:g} s: {left!r}")
        time.sleep(every)
