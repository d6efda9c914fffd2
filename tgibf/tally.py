"""Counts what was sent, by outcome."""

from collections import Counter
from dataclasses import dataclass

from ddsketch import DDSketch

from tgibf.outcome import Ending, Outcome

_ACCURACY = 0.0005
"""The relative error of a percentile: small enough for three correct digits."""


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
        self._latencies = DDSketch(_ACCURACY)
        self._longest = 0.0

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
            milliseconds = max(latency, 0) * 1000
            self._latencies.add(milliseconds, events)
            self._longest = max(self._longest, milliseconds)

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
        p50, p99, p99_9 = (self._percentile(share) for share in (0.5, 0.99, 0.999))
        return Latency(p50, p99, p99_9, round(self._longest, 3))

    def _percentile(self, share: float) -> float | None:
        estimate = self._latencies.get_quantile_value(share)
        return None if estimate is None else round(min(estimate, self._longest), 3)
