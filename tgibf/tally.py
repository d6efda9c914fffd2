"""Counts what was sent and what became of it."""

from collections import Counter
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # ships no types

from tgibf.outcome import Ending, Outcome

_HIGHEST_LATENCY = 120_000_000
"""Microseconds; longer ones count as this. Above any timeout that is allowed."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the moment an event was due to its 200; None if no event was acked."""

    p50: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class Tally:
    """The figures of a run, all in events. `sent` counts every event that was started.

    Every settled event is in exactly one of `acked`, `refused` and `unknown`; `errors` has those
    that were not acked, by the kind of error. `failed_connections` counts POSTs.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.errors: Counter[str] = Counter()
        self.failed_connections = 0
        self.bursts = 0
        self.failed_bursts = 0
        self.largest_burst = 0
        self.behind = 0.0
        """The worst lag of the generator behind its own schedule: seconds."""
        self.unsent = 0
        """Events of the schedule that were never started."""
        self._latencies = HdrHistogram(1, _HIGHEST_LATENCY, 3)

    @property
    def acked(self) -> int:
        return self.outcomes[Outcome.ACKED]

    @property
    def refused(self) -> int:
        return self.outcomes[Outcome.REFUSED]

    @property
    def unknown(self) -> int:
        return self.outcomes[Outcome.UNKNOWN]

    @property
    def settled(self) -> int:
        return self.acked + self.refused + self.unknown

    def settle(self, ending: Ending, events: int, latency: float) -> None:
        """Count the ending of one POST of that many events; `latency` is in seconds."""
        self.outcomes[ending.outcome] += events
        if ending.connection_failed:
            self.failed_connections += 1
        if ending.error is not None:
            self.errors[ending.error] += events
        else:
            microseconds = min(max(round(latency * 1e6), 1), _HIGHEST_LATENCY)
            self._latencies.record_value(microseconds, events)

    def finish_burst(self, events: int, *, failed: bool) -> None:
        """Count a burst of which every event has settled."""
        self.bursts += 1
        self.failed_bursts += failed
        self.largest_burst = max(self.largest_burst, events)

    def lag(self, seconds: float) -> None:
        """Note how late an event was started."""
        self.behind = max(self.behind, seconds)

    def latency(self) -> Latency:
        """The latency of acked events so far."""
        if not self.acked:
            return Latency(None, None, None, None)
        found = self._latencies.get_percentile_to_value_dict([50, 99, 99.9])
        p50, p99, p99_9 = (found[percentile] / 1000 for percentile in (50, 99, 99.9))
        return Latency(p50, p99, p99_9, self._latencies.get_max_value() / 1000)
