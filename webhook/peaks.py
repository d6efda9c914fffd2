"""The highest of what was seen lately, so that a look each few seconds misses nothing between.

Times are monotonic seconds. A peak is kept for 15 s and less than 16. Where a time is earlier than
one before it, what came with it counts as of then.
"""

from collections import deque

PEAK_SECONDS = 15
SLICES = 16  # to a second; a power of 2, so that a slice's end is a float without an error


class Peak:
    """The highest level of the last 15 s. Levels are not below 0, which is that of nothing."""

    def __init__(self) -> None:
        self._second = 0
        self._levels: dict[int, float] = {}

    def note(self, level: float, now: float) -> None:
        """There is, or was until just now, `level`."""
        second = max(int(now), self._second)
        if second != self._second:
            self._second = second
            oldest = second - PEAK_SECONDS
            self._levels = {at: one for at, one in self._levels.items() if at >= oldest}
        if level > self._levels.get(second, 0):
            self._levels[second] = level

    def highest(self, now: float) -> float:
        """Of the last 15 s."""
        oldest = int(now) - PEAK_SECONDS
        return max((one for at, one in self._levels.items() if at >= oldest), default=0)


class BusiestSecond:
    """The most that came in within a second of the last 15.

    A second is any 16 slices of a 16th in a row: a burst that is shorter than 15 of them is counted
    whole, wherever a second begins. What comes is added up, and looked at once per slice.
    """

    def __init__(self) -> None:
        self._slice = 0
        self._ends = 0.0
        self._running = 0
        self._before: deque[tuple[int, int]] = deque()
        """Slices of the second that ends with the running one, and what came in each."""
        self._peak = Peak()

    def add(self, number: int, now: float) -> None:
        """So many came in at `now`."""
        if now >= self._ends:
            self._turn(now)
        self._running += number

    def highest(self, now: float) -> int:
        """In the busiest second until `now`."""
        self._turn(max(now, self._slice / SLICES))
        return int(self._peak.highest(now))

    def _turn(self, now: float) -> None:
        """End the running slice, and begin that of `now`."""
        if self._running:
            self._before.append((self._slice, self._running))
            self._running = 0
            total = sum(number for _, number in self._before)
            self._peak.note(total, self._slice / SLICES)
        self._slice = int(now * SLICES)
        self._ends = (self._slice + 1) / SLICES
        while self._before and self._before[0][0] <= self._slice - SLICES:
            self._before.popleft()
