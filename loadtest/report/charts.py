"""The charts of a report."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import mean, median

from loadtest.record import GeneratorRecord, Record
from loadtest.report import figures
from loadtest.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Chart,
    style,
)
from loadtest.report.figures import Series

Reduce = Callable[[Sequence[float]], float]

ERROR_SLICES = 120
NAMED_RECEIVERS = 9
PERCENTILES: tuple[tuple[str, str, Reduce], ...] = (
    ("max", PURPLE, max),
    ("p99.9", VERMILION, median),
    ("p99", ORANGE, median),
    ("p50", BLUE, median),
)
MEAN_SECONDS = 30
ALL_ELSE = "everything else, the kernel's network"
LEAST = 0.005
"""Cores of a kind of process, on average; less is among all else."""
PROCESSES = {
    "TGIBF": ORANGE,
    "receivers": BLUE,
    "Cassandra": GREEN,
    "Fabio": PURPLE,
    "Nomad": VERMILION,
    "Consul": SKY,
    "virtual machines": YELLOW,
    "this load test": GREY,
}


def count(record: Record) -> Chart:
    """The count, and what it follows."""
    chart = _chart("count", record)
    axes = chart.axes[0]
    began, window = record.began, record.target.window_seconds
    before = sum(events for _, _, events in record.baseline)
    acked = figures.acknowledged(record)
    axes.plot(
        chart.x(acked.seconds),
        [before + value for value in acked.values],
        color=GREY,
        linewidth=1.2,
        linestyle=(0, (2, 2)),
        label="acknowledged so far",
    )
    if record.rate is not None:
        full = record.rate * window
        label = f"{record.rate:,g}/s x {window:,} s = {full:,.0f}"
        axes.axhspan(full - record.rate, full, color=ORANGE, alpha=0.35, linewidth=0)
        axes.axhline(full, color=ORANGE, linewidth=1.4, label=label)
    if window < figures.duration(record):
        axes.axvline(chart.x1(window), color=GREEN, linewidth=1.4, label="the window has passed")
    read = [one for one in record.samples.count if one.count is not None]
    axes.plot(
        chart.x([one.at - began for one in read]),
        [one.count or 0 for one in read],
        color=BLUE,
        linewidth=2.2,
        label="GET /events/count",
    )
    silent = [one.at - began for one in record.samples.count if one.count is None]
    if silent:
        axes.plot(
            chart.x(silent),
            [0] * len(silent),
            "x",
            color=VERMILION,
            label="no answer",
            clip_on=False,
        )
    chart.label(f"events in the last {_window(window)}")
    chart.mark(record.marks, began)
    chart.legend()
    return chart


def events(record: Record) -> Chart:
    """Acknowledged events per second, of each generator."""
    chart = _chart("events", record)
    axes = chart.axes[0]
    for colours, one in zip(((BLUE, SKY), (GREEN, GREY)), record.generators, strict=False):
        strong, light = colours
        acked = figures.per_second(record, one.name, "acked")
        moments = chart.x(acked.seconds)
        if one.rate is None and not one.steps:
            label = f"{one.name}, acknowledged each second"
            axes.plot(moments, acked.values, color=light, linewidth=0.9, label=label)
            means = figures.mean_over(acked, MEAN_SECONDS).values
            label = f"mean of the last {MEAN_SECONDS} s, pauses included"
            axes.plot(moments, means, color=strong, linewidth=2, label=label)
        else:
            _asked(chart, one, figures.duration(record))
            label = f"{one.name}, acknowledged each second"
            axes.plot(moments, acked.values, color=strong, linewidth=1.4, label=label)
        failed = figures.per_second(record, one.name, "refused", "unknown")
        if any(failed.values):
            label = f"{one.name}, not acknowledged"
            axes.plot(moments, failed.values, color=VERMILION, linewidth=1.4, label=label)
    chart.label("events/s")
    chart.mark(record.marks, record.began)
    chart.legend(columns=3)
    return chart


def _asked(chart: Chart, one: GeneratorRecord, seconds: float) -> None:
    """The rate that a generator was to have."""
    steps = one.steps or [(0.0, one.rate or 0.0)]
    rates = [rate for _, rate in steps]
    told = f"{rates[0]:,g}/s" if len(rates) == 1 else "the steps"
    chart.axes[0].step(
        chart.x([*(at for at, _ in steps), max(seconds, steps[-1][0])]),
        [*rates, rates[-1]],
        where="post",
        color=ORANGE,
        linewidth=1.2,
        zorder=3,
        label=f"{one.name}: {told} were asked for",
    )


def latency(record: Record) -> Chart:
    """Percentiles of the seconds, for each generator."""
    chart = _chart("latency", record)
    width = figures.slice_seconds(record)
    several = len(record.samples.load) > 1
    for line, (name, seconds) in zip(("-", ":"), record.samples.load.items(), strict=False):
        known = [one for one in seconds if one.latency_ms.p50 is not None]
        moments = [one.at - record.began - one.seconds / 2 for one in known]
        for label, colour, reduce in PERCENTILES:
            values = [getattr(one.latency_ms, label.replace(".", "_")) for one in known]
            shown = figures.sliced(Series(moments, values), width, reduce)
            title = f"{label}, {name}" if several else label
            axes = chart.axes[0]
            axes.plot(
                chart.x(shown.seconds),
                shown.values,
                color=colour,
                linewidth=1.2,
                linestyle=line,
                label=title,
            )
    chart.log("latency in ms (log scale)")
    if not figures.totals(record)["acked"]:
        chart.say("no event was acknowledged")
    chart.mark(record.marks, record.began)
    chart.legend(columns=8)
    return chart


def errors(record: Record) -> Chart:
    """What was not acknowledged, by kind of error."""
    width = max(1.0, figures.duration(record) / ERROR_SLICES)
    kinds = figures.errors_by_kind(record, width)
    if not kinds:
        return _no_errors(record)
    chart = _chart("errors", record)
    bottom = [0.0] * max(len(series.values) for series in kinds.values())
    for colour, (kind, series) in zip(cycle(PALETTE), kinds.items(), strict=False):
        chart.axes[0].bar(
            chart.x(series.seconds),
            series.values,
            width=chart.x1(width),
            bottom=bottom,
            color=colour,
            label=kind,
        )
        bottom = [low + value for low, value in zip(bottom, series.values, strict=True)]
    chart.label(f"events not acknowledged, in {width:,.0f} s")
    chart.mark(record.marks, record.began)
    chart.legend()
    return chart


def _no_errors(record: Record) -> Chart:
    chart = Chart("errors", figures.duration(record), height=1.2)
    chart.axes[0].set_ylim(0, 1)
    chart.axes[0].set_yticks([])
    chart.say("none: every event was acknowledged")
    return chart


def allocations(record: Record) -> Chart | None:
    """How many are wanted and run, how many take events, and what is offered.

    None if nobody allocates. With an autoscaler, `wanted` is what it was told, and `desired` what
    it has asked Nomad for.
    """
    looks = [one for one in record.samples.allocations if not one.error]
    if not looks:
        return None
    chart = _chart("allocations", record, heights=(3, 2))
    axes = chart.axes[0]
    moments = chart.x([one.at - record.began for one in looks])
    asked = [one.asked for one in looks if one.asked is not None]
    if asked:
        chart.axes[0].step(
            chart.x([one.at - record.began for one in looks if one.asked is not None]),
            asked,
            where="post",
            color=VERMILION,
            linewidth=5,
            alpha=0.35,
            label="wanted",
        )
    for name, label, colour, width in (
        ("wanted", "desired" if asked else "wanted", ORANGE, 3.5),
        ("running", "running", SKY, 2.2),
        ("passing", "taking events", BLUE, 1.6),
    ):
        values = [getattr(one, name) for one in looks]
        axes.step(moments, values, where="post", color=colour, linewidth=width, label=label)
    chart.label("allocations")
    axes.set_ylim(0, max([*asked, *(one.wanted for one in looks)]) + 1)
    offered = figures.offered(record)
    chart.axes[1].plot(
        chart.x(offered.seconds), offered.values, color=BLUE, linewidth=1.2, label="offered"
    )
    failed = figures.offered(record, "refused", "unknown")
    if any(failed.values):
        chart.axes[1].plot(
            chart.x(failed.seconds),
            failed.values,
            color=VERMILION,
            linewidth=1.2,
            label="not acknowledged",
        )
    chart.label("events/s", 1)
    chart.legend(1)
    chart.mark(record.marks, record.began)
    chart.legend()
    return chart


def receivers(record: Record) -> Chart | None:
    """Group commit at work, and what is held; None if no receiver tells."""
    places = figures.by_address(record)
    if not places:
        return None
    chart = _chart("receivers", record, (1, 1, 1))
    width = figures.slice_seconds(record)
    samples = record.samples.receivers

    def plot(panel: int, series: Series, reduce: Reduce, colour: str, label: str = "") -> None:
        shown = figures.sliced(series, width, reduce)
        chart.axes[panel].plot(
            chart.x(shown.seconds), shown.values, color=colour, linewidth=1.3, label=label
        )

    for colour, (address, at) in zip(cycle(PALETTE), places.items(), strict=False):
        of = [samples[place] for place in at]
        moments = [one.at - record.began for one in of]
        stored = figures.rates(moments, [one.events.get("stored", 0) for one in of])
        writes = figures.rates(moments, [one.writes for one in of])
        label = address.removeprefix("http://") if len(places) <= NAMED_RECEIVERS else ""
        plot(0, _ratio(stored, writes), mean, colour, label)
        plot(1, Series(moments, [one.held_events for one in of]), max, colour)
        plot(2, Series(moments, [one.memory_bytes / 2**20 for one in of]), max, colour)
    chart.label("events per write", whole=False)
    chart.label("events held", 1)
    chart.label("memory, MiB", 2)
    chart.mark(record.marks, record.began)
    chart.legend(columns=3)
    return chart


def machine(record: Record) -> Chart:
    """The machine's CPU by kind of process, and its sockets."""
    chart = _chart("machine", record, (1.6, 1))
    looks = record.samples.machine
    width = figures.slice_seconds(record)
    moments = [one.at - record.began for one in looks]

    def sliced(values: Sequence[float], reduce: Reduce = mean) -> Series:
        return figures.sliced(Series(moments, values), width, reduce)

    found = {kind for one in looks for kind in one.processes} - PROCESSES.keys()
    kinds = {**PROCESSES, **dict(zip(sorted(found), cycle(PALETTE), strict=False))}
    used = {kind: [one.processes.get(kind, 0.0) for one in looks] for kind in kinds}
    layers = {kind: sliced(cores) for kind, cores in used.items()}
    layers = {kind: one for kind, one in layers.items() if one.values and mean(one.values) > LEAST}
    busy = sliced([sum(one.cores.values()) - one.cores.get("io_wait", 0.0) for one in looks])
    layers[ALL_ELSE] = Series(
        busy.seconds,
        [
            max(0.0, every - sum(known))
            for every, *known in zip(
                busy.values, *(one.values for one in layers.values()), strict=True
            )
        ],
    )
    axes = chart.axes[0]
    if looks:
        axes.stackplot(
            chart.x(busy.seconds),
            [one.values for one in layers.values()],
            labels=list(layers),
            colors=[kinds.get(kind, LIGHT) for kind in layers],
        )
    cores = int(record.machine.get("cores", "0"))
    axes.axhline(cores, color=INK, linewidth=1.2, linestyle="--", label=f"all {cores} cores")
    chart.label("CPU in cores", whole=False)
    in_use = sliced([one.connections for one in looks], max)
    waiting = sliced([one.time_wait for one in looks], max)
    chart.axes[1].plot(chart.x(in_use.seconds), in_use.values, color=BLUE, label="in use")
    chart.axes[1].plot(chart.x(waiting.seconds), waiting.values, color=ORANGE, label="TIME_WAIT")
    chart.label("TCP sockets", 1)
    chart.mark(record.marks, record.began)
    chart.legend(columns=5)
    chart.legend(1)
    return chart


@dataclass(frozen=True, slots=True)
class Entry:
    """A chart of the report. A further one is a function above and a row below."""

    name: str
    title: str
    caption: str
    draw: Callable[[Record], Chart | None]
    """None if the record has nothing of it."""


ENTRIES = (
    Entry(
        "count",
        "Count",
        "What GET /events/count answered, once per second. It rises with the events "
        "acknowledged until the first events leave the window. From then on it follows only the "
        "rate: the rate times the window, whose last second is still running.",
        count,
    ),
    Entry(
        "events",
        "Events per second",
        "Acknowledged events in each second, for each generator.",
        events,
    ),
    Entry(
        "latency",
        "Latency",
        "The time from when an event was due to its 200, for the events acknowledged in each "
        "second. In a long run a point covers some seconds: the median of their percentiles, and "
        "the worst maximum.",
        latency,
    ),
    Entry(
        "errors",
        "Errors",
        "Events that were not acknowledged, by what came instead: refused ones are certainly "
        "not stored, unknown ones may be.",
        errors,
    ),
    Entry(
        "allocations",
        "Allocations",
        "Those that Nomad wants and runs, and those whose checks pass in Consul: these take "
        "events. Below: the events of all generators, which the count is to follow.",
        allocations,
    ),
    Entry(
        "receivers",
        "Receivers",
        "From each receiver's /metrics: how many events share a write (group commit), how "
        "many wait for theirs, and memory.",
        receivers,
    ),
    Entry(
        "machine",
        "This machine",
        "The machine that sends the load: CPU by kind of process, and sockets. What the "
        "kernel does for the network in interrupts is counted for no process.",
        machine,
    ),
)
CHARTS = {entry.name: entry for entry in ENTRIES}


def drawn(record: Record) -> Iterator[tuple[str, str, bytes]]:
    """The name of each chart that there is to be, its SVG, and its PNG."""
    with style():
        for entry in ENTRIES:
            if chart := entry.draw(record):
                yield entry.name, chart.svg(), chart.png()


def _chart(name: str, record: Record, heights: tuple[float, ...] = (1,)) -> Chart:
    return Chart(name, figures.duration(record), heights)


def _ratio(one: Series, other: Series) -> Series:
    """Of two series at the same moments, where the second is not 0."""
    known = dict(zip(other.seconds, other.values, strict=True))
    pairs = [
        (at, value / known[at])
        for at, value in zip(one.seconds, one.values, strict=True)
        if known.get(at)
    ]
    return Series([at for at, _ in pairs], [value for _, value in pairs])


def _window(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds % 60 == 0 and seconds > 60 else f"{seconds} s"
