"""Waiting for a condition, with a deadline and a reason."""

import time
from collections.abc import Callable
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
