"""What a count must be, from what was sent and from what is stored. Pure arithmetic.

A count that was read while events came in must lie between two bounds: at least the events
acknowledged one second before it was asked for (at whichever allocation), at most the events sent
by the time it came. Both are reduced by the events that have left the window:

    acknowledged by (asked - 1 s) - gone  <=  count - baseline  <=  possible by (answered) - gone

`possible` are the events that were sent and not refused. `gone` are those received before the
window's first second; the store's rows give the exact number. Without a store only the generators
can tell, within the bounds `acknowledged by (since - 2 s)` and `possible by (since + 2 s)`: an
event is received after it is sent and before it is acknowledged, and the receiver's clock may
differ.

`baseline` is what others had stored before the run, if it is still in the window.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from loadtest.record import CountSample, LoadSecond

VISIBLE_SECONDS = 1.0
"""After that long an acknowledged event is counted by every allocation."""
CLOCK_SECONDS = 2.0
"""By so much the receivers' clocks may differ from this machine's, where only its own is known."""

Bounds = tuple[int, int]
Slice = tuple[int, int, int]


class Growth:
    """A total that grows at known moments."""

    def __init__(self, steps: Sequence[tuple[float, int]]) -> None:
        """`steps` are (moment, how much), in order of time."""
        self._moments = [moment for moment, _ in steps]
        self._totals = [0, *accumulate(amount for _, amount in steps)]

    @property
    def end(self) -> int:
        return self._totals[-1]

    def at_least(self, moment: float) -> int:
        """What it had certainly grown to by then: steps are recorded at their ends."""
        return self._totals[bisect_right(self._moments, moment)]

    def at_most(self, moment: float) -> int:
        """What it can have grown to by then: the step under way is in it."""
        after = bisect_left(self._moments, moment)
        return self._totals[min(after + 1, len(self._moments))]


@dataclass(frozen=True, slots=True)
class Received:
    """The rows of a store, counted by the second of their receipt."""

    own: Mapping[int, int]
    """Of this run."""
    others: Mapping[int, int]
    """Of anybody else."""

    def since(self, second: int) -> int:
        """All that were received in that second or later."""
        return sum(
            count
            for counts in (self.own, self.others)
            for at, count in counts.items()
            if at >= second
        )


class Expectation:
    """The bounds of counts, for one run."""

    def __init__(
        self,
        load: Mapping[str, Sequence[LoadSecond]],
        received: Received | None,
        baseline: Sequence[Slice],
    ) -> None:
        """`received` is None if no store was read; then `baseline` counts, else its rows."""
        self._acked = [Growth([(one.at, one.acked) for one in each]) for each in load.values()]
        self._possible = [
            Growth([(one.at, one.sent - one.refused) for one in each]) for each in load.values()
        ]
        self._received = received
        self._baseline = baseline
        self._own = Growth(sorted(received.own.items())) if received else Growth([])
        self._others = Growth(sorted(received.others.items())) if received else Growth([])

    def of(self, sample: CountSample) -> Bounds:
        """The bounds of a count that was asked for during the run."""
        since = sample.since or 0
        acked = sum(each.at_least(sample.at - VISIBLE_SECONDS) for each in self._acked)
        possible = sum(each.at_most(sample.at + sample.seconds) for each in self._possible)
        return self._bounds(since, acked, possible)

    def finally_of(self, since: int) -> Bounds:
        """The bounds of a count when everything has settled."""
        if self._received is not None:
            return (self._received.since(since),) * 2
        acked = sum(each.end for each in self._acked)
        possible = sum(each.end for each in self._possible)
        return self._bounds(since, acked, possible)

    def _bounds(self, since: int, acked: int, possible: int) -> Bounds:
        if self._received is not None:
            gone = self._own.at_least(since - 1)
            baseline = self._others.end - self._others.at_least(since - 1)
            return acked - gone + baseline, possible - gone + baseline
        most_gone = sum(each.at_most(since + CLOCK_SECONDS) for each in self._possible)
        least_gone = sum(each.at_least(since - CLOCK_SECONDS) for each in self._acked)
        kept = sum(events for start, _, events in self._baseline if start >= since)
        most_kept = sum(events for _, end, events in self._baseline if end > since)
        return max(0, acked - most_gone) + kept, possible - least_gone + most_kept
