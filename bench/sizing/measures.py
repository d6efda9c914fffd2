"""What came of a run. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.sizing.record import Run

OVERLOAD = "http 503"
CALM_SECONDS = 5.0
"""So long without a refusal, and there is enough."""
BUSIEST = 0.6
"""Of the machine. Where more was in use while events were refused, it may be what refused them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    sent: int
    refused: int
    failed: int
    """Events that ended in another way than 200 or 503, or of which nobody knows the outcome."""
    stepped: bool
    """Whether the load has a step."""
    capacity_seconds: float | None
    """From the step until nothing was refused any more; None if it did not come to that."""
    changes: int
    """Of the count that Nomad was told."""
    hours: float
    mean_running: float
    p99_ms: float | None
    busiest_refusing: float
    """The largest part of the machine that was busy in a second with a refusal; 0 without one."""
    valid: bool

    @property
    def refused_share(self) -> float:
        return self.refused / self.sent if self.sent else 0.0

    @property
    def changes_an_hour(self) -> float:
        return self.changes / self.hours if self.hours else 0.0

    @property
    def allocation_minutes(self) -> float:
        return self.mean_running * self.hours * 60

    @property
    def sound(self) -> bool:
        """Whether it shows something: nothing lost, and the machine was not the limit."""
        return self.valid and self.busiest_refusing <= BUSIEST


def outcome(run: Run, rises_at: float | None = None, falls_at: float | None = None) -> Outcome:
    """All figures of a run; with the seconds of its step up and down, if it has one."""
    sent = sum(one.sent for one in run.seconds)
    refused = sum(one.refused for one in run.seconds)
    summaries = [one.summary for one in run.generators if one.summary]
    return Outcome(
        sent=sent,
        refused=refused,
        failed=failed(run),
        stepped=rises_at is not None,
        capacity_seconds=None if rises_at is None else capacity_seconds(run, rises_at, falls_at),
        changes=changes([one.wanted for one in run.allocations]),
        hours=(run.load_ended - run.began) / 3600,
        mean_running=mean_running(run),
        p99_ms=summaries[0]["latency_ms"]["p99"] if summaries else None,
        busiest_refusing=busiest_refusing(run),
        valid=run.valid,
    )


def failed(run: Run) -> int:
    """Events that were not acknowledged, and for another reason than overload, at least.

    An unknown outcome counts, whatever its answer was.
    """
    unknown = sum(one.unknown for one in run.seconds)
    lost = sum(one.refused + one.unknown for one in run.seconds)
    overload = sum(one.errors.get(OVERLOAD, 0) for one in run.seconds)
    return max(unknown, lost - overload)


def capacity_seconds(run: Run, rises_at: float, falls_at: float | None = None) -> float | None:
    """From second `rises_at` of the load to the last refusal before 5 s without any.

    0 if nothing was refused. None if it did not come to that before `falls_at`.
    """
    since = run.began + rises_at
    until = run.load_ended if falls_at is None else run.began + falls_at
    last = None
    for one in run.seconds:
        if not since < one.at <= until:
            continue
        if one.refused:
            last = one.at
        elif last is not None and one.at - last >= CALM_SECONDS:
            break
    else:
        if last is not None:
            return None
    return 0.0 if last is None else last - since


def changes(counts: Sequence[int]) -> int:
    """How often the count was changed."""
    return sum(one != other for one, other in pairwise(counts))


def mean_running(run: Run) -> float:
    """Allocations on average, over time; 0 if nobody told."""
    looks = run.allocations
    if len(looks) < 2:
        return float(looks[0].running) if looks else 0.0
    area = sum(one.running * (later.at - one.at) for one, later in pairwise(looks))
    return area / (looks[-1].at - looks[0].at)


def busiest_refusing(run: Run) -> float:
    """The largest part of the machine in use during a second in which events were refused."""
    refusing = [(one.at - one.seconds, one.at) for one in run.seconds if one.refused]
    busiest = 0.0
    for look in run.samples.machine:
        begin = look.at - look.seconds
        if any(first < look.at and begin < last for first, last in refusing):
            used = sum(cores for state, cores in look.cores.items() if state != "io_wait")
            busiest = max(busiest, used / run.cores)
    return busiest


def stored_per_second(run: Run, first: float, last: float) -> float:
    """Events acknowledged per second between two seconds of the load."""
    acked = [
        one.acked
        for one in run.seconds
        if run.began + first < one.at - one.seconds and one.at <= run.began + last
    ]
    return sum(acked) / len(acked) if acked else 0.0


def cpu_each(run: Run, first: float, last: float) -> float:
    """Cores that one allocation used between two seconds of the load, on average; 0 if untold."""
    looks: dict[str, list[tuple[float, float]]] = {}
    for one in run.samples.receivers:
        if not one.error and run.began + first <= one.at <= run.began + last:
            looks.setdefault(one.address, []).append((one.at, one.cpu_seconds))
    used = [
        (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
        for seen in looks.values()
        if seen[-1][0] > seen[0][0]
    ]
    return sum(used) / len(used) if used else 0.0
