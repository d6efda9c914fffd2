"""The figures of a report, made from its record: pure arithmetic."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil
from operator import itemgetter
from statistics import median

from loadtest.record import LoadSecond, Record

ALL = "this machine, in total"
SETTLE_SECONDS = 2.0
"""After the window has passed, and before the load's end: the plateau is what lies between."""
MOST_SLICES = 240
SHORTEST_SECONDS = 0.5
"""The last line of a series may cover a few milliseconds: too short for a rate."""


@dataclass(frozen=True, slots=True)
class Plateau:
    """The counts read between the window's passing and the load's end."""

    samples: int
    median: float
    low: int
    high: int
    least: float
    most: float
    """What a steady rate fills a window with: the last of its whole seconds is still running."""


@dataclass(frozen=True, slots=True)
class Series:
    """Figures at moments: seconds since the beginning of the load."""

    seconds: Sequence[float]
    values: Sequence[float]


def totals(record: Record) -> dict[str, int]:
    """sent, acked, refused, unknown: of all generators."""
    names = ("sent", "acked", "refused", "unknown")
    return {name: sum(getattr(second, name) for second in _seconds(record)) for name in names}


def errors(record: Record) -> dict[str, int]:
    """Events that were not acknowledged, by kind of error, the most frequent first."""
    found: Counter[str] = Counter()
    for second in _seconds(record):
        found.update(second.errors)
    return dict(found.most_common())


def duration(record: Record) -> float:
    """Seconds from the load's beginning to its end, with what was in flight."""
    return record.load_ended - record.began


def peak(record: Record) -> int:
    """The largest count; 0 if nobody answered with one."""
    return max((one.count for one in record.samples.count if one.count is not None), default=0)


def bytes_per_event(record: Record) -> float | None:
    """On the wire, there and back, per acknowledged event; None if it is not known.

    Everything that passed the interface during the load, for any process.
    """
    acked = totals(record)["acked"]
    loopback = record.target.interface == "lo"  # what is sent there is received there
    moved = sum(
        one.received_bytes + (0 if loopback else one.sent_bytes) for one in record.samples.machine
    )
    return moved / acked if acked and moved else None


def cpu_per_event(record: Record) -> dict[str, float]:
    """Microseconds of CPU time per acknowledged event, by kind of process, the largest first.

    The last is everything that this machine did. Empty if nothing was acknowledged.
    """
    acked = totals(record)["acked"]
    used: dict[str, float] = {}
    busy = 0.0
    for sample in record.samples.machine:
        for kind, cores in sample.processes.items():
            used[kind] = used.get(kind, 0.0) + cores * sample.seconds
        busy += (sum(sample.cores.values()) - sample.cores.get("io_wait", 0.0)) * sample.seconds
    if not acked:
        return {}
    largest_first = sorted(used.items(), key=itemgetter(1), reverse=True)
    return {kind: seconds / acked * 1e6 for kind, seconds in [*largest_first, (ALL, busy)]}


def events_per_write(record: Record) -> float | None:
    """How many events shared a write to the store; None if no receiver told."""
    samples = record.samples.receivers
    events = writes = 0
    for places in by_address(record).values():
        for before, after in pairwise(samples[place] for place in places):
            if after.writes >= before.writes:  # less: another receiver has its port
                events += after.events.get("stored", 0) - before.events.get("stored", 0)
                writes += after.writes - before.writes
    return events / writes if writes else None


def plateau(record: Record) -> Plateau | None:
    """None if the load was not steady, or ended before the window had passed."""
    if record.rate is None:
        return None
    window = record.target.window_seconds
    first, last = record.began + window + SETTLE_SECONDS, record.load_ended - SETTLE_SECONDS
    counts = [
        one.count for one in record.samples.count if one.count is not None and first < one.at < last
    ]
    if not counts:
        return None
    return Plateau(
        samples=len(counts),
        median=median(counts),
        low=min(counts),
        high=max(counts),
        least=record.rate * (window - 1),
        most=record.rate * window,
    )


def per_second(record: Record, generator: str, *names: str) -> Series:
    """Of one generator: events per second, of `sent`, `acked`, `refused` or `unknown`."""
    seconds = record.samples.load[generator]
    return Series(
        [second.at - record.began - second.seconds / 2 for second in seconds],
        [
            sum(getattr(second, name) for name in names) / max(second.seconds, SHORTEST_SECONDS)
            for second in seconds
        ],
    )


def offered(record: Record, *names: str) -> Series:
    """Of all generators together, in whole seconds: events per second; `sent` unless named."""
    sums: dict[int, float] = {}
    for name in record.samples.load:
        series = per_second(record, name, *(names or ("sent",)))
        for at, value in zip(series.seconds, series.values, strict=True):
            sums[int(at)] = sums.get(int(at), 0.0) + value
    return Series([at + 0.5 for at in sorted(sums)], [sums[at] for at in sorted(sums)])


def slice_seconds(record: Record) -> int:
    """The width of the slices in which a long run's figures are shown."""
    return max(1, ceil(duration(record) / MOST_SLICES))


def sliced(series: Series, width: int, reduce: Callable[[Sequence[float]], float]) -> Series:
    """One figure for each slice of `width` seconds that has any, at its middle."""
    if width == 1:
        return series
    slices: dict[int, list[float]] = {}
    for at, value in zip(series.seconds, series.values, strict=True):
        slices.setdefault(int(at // width), []).append(value)
    return Series(
        [(slice_ + 0.5) * width for slice_ in sorted(slices)],
        [reduce(slices[slice_]) for slice_ in sorted(slices)],
    )


def mean_over(series: Series, seconds: int) -> Series:
    """At each moment the mean of the last so many values (fewer at the beginning)."""
    sums = [0.0, *accumulate(series.values)]
    means = []
    for end in range(1, len(sums)):
        start = max(0, end - seconds)
        means.append((sums[end] - sums[start]) / (end - start))
    return Series(series.seconds, means)


def acknowledged(record: Record) -> Series:
    """All that was acknowledged so far."""
    steps = sorted((second.at - record.began, second.acked) for second in _seconds(record))
    return Series([0.0, *(at for at, _ in steps)], [0, *accumulate(count for _, count in steps)])


def errors_by_kind(record: Record, width: float) -> dict[str, Series]:
    """Errors in slices of `width` seconds, at their middles, by kind, the most frequent first."""
    found: dict[str, Counter[int]] = {kind: Counter() for kind in errors(record)}
    for second in _seconds(record):
        slice_ = int(max(0.0, second.at - record.began - second.seconds / 2) // width)
        for kind, count in second.errors.items():
            found[kind][slice_] += count
    slices = range(int(duration(record) // width) + 1)
    middles = [(at + 0.5) * width for at in slices]
    return {kind: Series(middles, [counts[at] for at in slices]) for kind, counts in found.items()}


def rates(moments: Sequence[float], amounts: Sequence[float]) -> Series:
    """From a total at moments to its growth per second; nothing if it fell (a restart)."""
    pairs = list(zip(moments, amounts, strict=True))
    grown = [
        (later, (more - less) / (later - earlier))
        for (earlier, less), (later, more) in pairwise(pairs)
        if more >= less and later > earlier
    ]
    return Series([at for at, _ in grown], [rate for _, rate in grown])


def by_address(record: Record) -> Mapping[str, list[int]]:
    """The places in `samples.receivers` of each receiver that answered."""
    found: dict[str, list[int]] = {}
    for place, sample in enumerate(record.samples.receivers):
        if not sample.error:
            found.setdefault(sample.address, []).append(place)
    return found


def _seconds(record: Record) -> Iterable[LoadSecond]:
    return (second for seconds in record.samples.load.values() for second in seconds)
