"""The clock that decides in which second an event was received."""

import time
from collections.abc import Callable

MICROSECONDS = 1_000_000
SKEW_SECONDS = 10  # how far the clocks of receivers that share a store may be apart


class ReceiptClock:
    """Wall clock in microseconds since the Unix epoch that never runs backwards.

    Where the machine's clock is set back, this one stands still until it has been caught up:
    a second that was counted and read must not be followed by an earlier one. `behind` tells by
    how many seconds the machine's clock is behind at the moment; it is 0.0 in ordinary times.
    """

    def __init__(self, wall: Callable[[], int] = time.time_ns) -> None:
        self._wall = wall
        self._last = 0

    def __call__(self) -> int:
        now = self._wall() // 1000
        if now < self._last:
            return self._last
        self._last = now
        return now

    @property
    def behind(self) -> float:
        return max(0, self._last - self._wall() // 1000) / MICROSECONDS
