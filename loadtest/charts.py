"""The charts of a report."""

from collections.abc import Callable, Iterator

from loadtest import figures
from loadtest.figure import (
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
from loadtest.figures import Series
from loadtest.record import Record

ERROR_SLICES = 120
PERCENTILES = (("max", PURPLE), ("p99.9", VERMILION), ("p99", ORANGE), ("p50", BLUE))
MEAN_SECONDS = 30
LEAST_CORES = 0.005
"""Of a kind of process, on average; less is among all else."""
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
        label="acknowledged since the beginning",
    )
    if record.rate is not None:
        axes.axhline(
            record.rate * window,
            color=ORANGE,
            linewidth=1.6,
            label=f"{record.rate:,g}/s x {window:,} s = {record.rate * window:,.0f}",
        )
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
        if one.rate is None:
            label = f"{one.name}, acknowledged each second"
            axes.plot(moments, acked.values, color=light, linewidth=0.9, label=label)
            means = figures.mean_over(acked, MEAN_SECONDS).values
            label = f"mean of the last {MEAN_SECONDS} s, pauses included"
            axes.plot(moments, means, color=strong, linewidth=2, label=label)
        else:
            label = f"{one.name}: {one.rate:,g}/s were asked for"
            axes.axhline(one.rate, color=ORANGE, linewidth=1.6, label=label)
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


def latency(record: Record) -> Chart:
    """Percentiles of each second, for each generator."""
    chart = _chart("latency", record)
    axes = chart.axes[0]
    several = len(record.samples.load) > 1
    empty = True
    for line_style, (name, seconds) in zip(("-", ":"), record.samples.load.items(), strict=False):
        known = [one for one in seconds if one.latency_ms.p50 is not None]
        moments = chart.x([one.at - record.began for one in known])
        for label, colour in PERCENTILES:
            field = label.replace(".", "_")
            values = [getattr(one.latency_ms, field) for one in known]
            title = f"{label}, {name}" if several else label
            axes.plot(
                moments, values, color=colour, linewidth=1.2, linestyle=line_style, label=title
            )
        empty = empty and not known
    chart.log("latency in ms (log scale)")
    if empty:
        chart.say("no event was acknowledged")
    chart.mark(record.marks, record.began)
    chart.legend(columns=8)
    return chart


def errors(record: Record) -> Chart:
    """What was not acknowledged, by kind of error."""
    chart = _chart("errors", record)
    axes = chart.axes[0]
    width = max(1.0, figures.duration(record) / ERROR_SLICES)
    kinds = figures.errors_by_kind(record, width)
    bottom: list[float] = []
    for colour, (kind, series) in zip(_colours(), kinds.items(), strict=False):
        bottom = bottom or [0.0] * len(series.values)
        axes.bar(
            chart.x(series.seconds),
            series.values,
            width=chart.x1(width),
            bottom=bottom,
            color=colour,
            label=kind,
        )
        bottom = [low + value for low, value in zip(bottom, series.values, strict=True)]
    chart.label(f"events not acknowledged, in {width:,.0f} s")
    if not kinds:
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        chart.say("none: every event was acknowledged")
    chart.mark(record.marks, record.began)
    chart.legend()
    return chart


def allocations(record: Record) -> Chart | None:
    """How many there are to be, run, and take events; None where nobody allocates."""
    looks = [one for one in record.samples.allocations if not one.error]
    if not looks:
        return None
    chart = _chart("allocations", record)
    axes = chart.axes[0]
    moments = chart.x([one.at - record.began for one in looks])
    for name, colour, width in (
        ("wanted", ORANGE, 3.5),
        ("running", SKY, 2.2),
        ("passing", BLUE, 1.6),
    ):
        label = "taking events" if name == "passing" else name
        values = [getattr(one, name) for one in looks]
        axes.step(moments, values, where="post", color=colour, linewidth=width, label=label)
    chart.label("allocations")
    axes.set_ylim(0, max(one.wanted for one in looks) + 1)
    chart.mark(record.marks, record.began)
    chart.legend()
    return chart


def receivers(record: Record) -> Chart | None:
    """Group commit at work, and what is held; None where no receiver tells."""
    places = figures.by_address(record)
    if not places:
        return None
    chart = _chart("receivers", record, (1, 1, 1))
    samples = record.samples.receivers
    for colour, (address, at) in zip(_colours(), places.items(), strict=False):
        moments = [samples[place].at - record.began for place in at]
        stored = [float(samples[place].events.get("stored", 0)) for place in at]
        writes = [float(samples[place].writes) for place in at]
        label = address.removeprefix("http://")
        group = _ratio(figures.rates(moments, stored), figures.rates(moments, writes))
        chart.axes[0].plot(
            chart.x(group.seconds), group.values, color=colour, linewidth=1.2, label=label
        )
        held = [samples[place].held_events for place in at]
        chart.axes[1].plot(chart.x(moments), held, color=colour, linewidth=1.2)
        memory = [samples[place].memory_bytes / 2**20 for place in at]
        chart.axes[2].plot(chart.x(moments), memory, color=colour, linewidth=1.4)
    chart.label("events a write")
    chart.label("events held", 1)
    chart.label("memory, MiB", 2)
    chart.mark(record.marks, record.began)
    chart.legend(columns=3)
    return chart


def machine(record: Record) -> Chart:
    """Its CPU, by whom, and its sockets."""
    chart = _chart("machine", record, (1.6, 1))
    looks = record.samples.machine
    moments = chart.x([one.at - record.began for one in looks])
    layers = {kind: [one.processes.get(kind, 0.0) for one in looks] for kind in PROCESSES}
    layers = {kind: used for kind, used in layers.items() if sum(used) > LEAST_CORES * len(looks)}
    busy = [sum(one.cores.values()) - one.cores.get("io_wait", 0.0) for one in looks]
    layers["all else, the kernel's network"] = [
        max(0.0, every - sum(values)) for every, *values in zip(busy, *layers.values(), strict=True)
    ]
    axes = chart.axes[0]
    if looks:
        colours = [PROCESSES.get(kind, LIGHT) for kind in layers]
        axes.stackplot(moments, list(layers.values()), labels=list(layers), colors=colours)
    cores = int(record.machine.get("cores", "0"))
    axes.axhline(cores, color=INK, linewidth=1.2, linestyle="--", label=f"all {cores} cores")
    chart.label("CPU in cores", whole=False)
    chart.axes[1].plot(moments, [one.connections for one in looks], color=BLUE, label="in use")
    chart.axes[1].plot(moments, [one.time_wait for one in looks], color=ORANGE, label="TIME_WAIT")
    chart.label("TCP sockets", 1)
    chart.mark(record.marks, record.began)
    chart.legend(columns=5)
    chart.legend(1)
    return chart


CHARTS: dict[str, Callable[[Record], Chart | None]] = {
    "count": count,
    "events": events,
    "latency": latency,
    "errors": errors,
    "allocations": allocations,
    "receivers": receivers,
    "machine": machine,
}


def drawn(record: Record) -> Iterator[tuple[str, str, bytes]]:
    """The name of each chart that there is to be, its SVG, and its PNG."""
    with style():
        for name, make in CHARTS.items():
            if chart := make(record):
                yield name, chart.svg(), chart.png()


def _chart(name: str, record: Record, heights: tuple[float, ...] = (1,)) -> Chart:
    return Chart(name, figures.duration(record), heights)


def _colours() -> tuple[str, ...]:
    return PALETTE * 2


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
