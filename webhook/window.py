"""The arithmetic of the sliding window: pure functions of counts per second.

A *second* is a whole number of seconds since the Unix epoch; events are counted under the second
in which they were received. A window is a whole number of seconds that ends with the running one,
so a count is exact to the second and changes at each tick.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

SLICE_SECONDS = 60
RATE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Window:
    """The seconds from `start` (counted) to `end` (not counted)."""

    start: int
    end: int

    @classmethod
    def ending_at(cls, now: float, seconds: int) -> "Window":
        """The window of `seconds` seconds whose last one is the running second of `now`."""
        end = int(now // 1) + 1
        return cls(end - seconds, end)

    @property
    def seconds(self) -> int:
        return self.end - self.start

    def total(self, counts: Mapping[int, int]) -> int:
        """How many events of `counts` (by second) are in the window.

        Seconds at or past `end` count too: they come from a receiver whose clock is ahead, or were
        written before this clock was set back, and were certainly received.
        """
        return sum(count for second, count in counts.items() if second >= self.start)

    def ahead(self, counts: Mapping[int, int]) -> dict[int, int]:
        """Those of `counts` that were received later than the window's end, by their clocks.

        They stay in the count for longer than the window is.
        """
        return {second: count for second, count in counts.items() if second >= self.end}

    def slices(self, counts: Mapping[int, int]) -> list[tuple[int, int, int]]:
        """The window cut into `(from, to, count)`, oldest first, which sum to `total`.

        Each slice is 60 seconds long and the last ends with the window; the first is shorter where
        the window is not a whole number of minutes.
        """
        edges = [*range(self.end, self.start, -SLICE_SECONDS), self.start][::-1]
        cut = [[start, end, 0] for start, end in pairwise(edges)]
        for second, count in counts.items():
            if second >= self.start:
                from_the_end = max(0, self.end - 1 - second) // SLICE_SECONDS
                cut[-1 - from_the_end][2] += count
        return [(start, end, count) for start, end, count in cut]

    def events_per_second(self, counts: Mapping[int, int]) -> float:
        """The mean rate of the last five whole seconds (fewer in a shorter window)."""
        last = self.end - 1
        seconds = range(max(self.start, last - RATE_SECONDS), last)
        if not seconds:
            return float(counts.get(last, 0))
        return sum(counts.get(second, 0) for second in seconds) / len(seconds)


def isoformat(second: int) -> str:
    """`second` as RFC 3339 in UTC, such as `2026-11-27T12:30:00Z`."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
