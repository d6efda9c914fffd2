"""Sizing, floor, growth and constants as text."""

from collections.abc import Mapping, Sequence
from math import isinf

from capacity.constants import Measured
from capacity.floor import BURST_SECONDS, MOST_ALLOCATIONS, Burst, Floor
from capacity.growth import Step
from capacity.sizing import REPLICAS, Connections, Need, Sizing

HOW = {
    Connections.NEW: "a new connection for each",
    Connections.KEPT_ALIVE: "on kept-alive connections",
}


def sizing(need: Need, found: Sizing) -> str:
    """The text of a sizing: what a need takes, and why."""
    takes = f"{found.allocation_events_per_second:,.0f} events/s"
    cores = need.cores * found.nodes
    by = f"for the CPU {found.nodes_for_cpu:,}, for the disks {found.nodes_for_disk:,}"
    disk = f"{_gb(found.disk_bytes_a_day)} per day on all nodes, {REPLICAS} replicas"
    rows = [
        ("allocations", f"{found.allocations:,}", f"each takes {takes}; one node's may be missing"),
        ("nodes", f"{found.nodes:,}", f"{by}; each runs a part of everything"),
        ("CPU", f"{found.cores_used:,.1f} cores", f"at the peak; there are {cores:,}"),
        (
            "disk",
            f"{_gb(found.disk_bytes / found.nodes)} per node",
            f"{disk}; {_days(need, found)}",
        ),
        ("memory", f"{found.memory_mb / 1000:,.1f} GB per node", "as the job files reserve it"),
        ("first limit", found.first_limit, ""),
    ]
    rates = f"{need.events_per_second:,g} events/s, {need.peak:,g} at the peak"
    busy = f"busy up to {need.busy:.0%} with one node dead"
    head = [
        f"{rates}, {HOW[need.connections]}; kept for {need.retention_days:g} days",
        f"nodes of {need.cores} cores, {busy}; {need.disk_gb:,g} GB, full to {need.filled:.0%}",
    ]
    lines = [f"{name:<12} {value:<16} {why}".rstrip() for name, value, why in rows]
    return "\n".join([*head, "", *lines])


def _days(need: Need, found: Sizing) -> str:
    return f"{_gb(found.disk_bytes)} in {need.retention_days:g} days"


def floor(burst: Burst, found: Floor) -> str:
    """The text of a floor: what a burst takes, and what to type."""
    often = "a single time" if isinf(burst.every_seconds) else f"every {burst.every_seconds:g} s"
    reasons = [f"to take it within {BURST_SECONDS} s {found.for_burst:,}"]
    reasons.append(f"to hold it {found.for_queue:,}")
    if not isinf(burst.every_seconds):
        reasons.append(f"to take one after the other {found.for_mean:,}")
    by = [f"for their memory {found.nodes_for_memory:,}", f"for the CPU {found.nodes_for_cpu:,}"]
    by.append(f"for Fabio's connections {found.nodes_for_connections:,}")
    lost = f", {found.lost_room:,} fewer where Prometheus and the autoscaler are"
    rows = [
        ("floor", f"{found.allocations:,} allocations", f"{', '.join(reasons)}; and one more"),
        ("nodes", f"{found.nodes:,}", f"{', '.join(by)}; three at least"),
        ("room", f"{found.fits:,} allocations", f"{found.room:,} on a node{lost}"),
        ("CPU", f"{found.cores_used:,.1f} cores", f"there are {burst.cores * found.nodes:,}"),
    ]
    takes = f"an allocation takes {found.each_takes:,.0f} events/s"
    head = [
        f"{burst.events:,} events at once, {often}, {HOW[burst.connections]}; {takes}",
        f"nodes of {burst.cores} cores, busy up to {burst.busy:.0%}, and {burst.memory_mb:,} MB",
    ]
    lines = [f"{name:<12} {value:<16} {why}".rstrip() for name, value, why in rows]
    advice = [f"scripts/cluster run -var floor={found.allocations} webhook"]
    if found.allocations > MOST_ALLOCATIONS:
        most = f"first: `max = {found.allocations}` in `scaling` of nomad/webhook.nomad, which says"
        advice.insert(0, f"{most} {MOST_ALLOCATIONS}")
    return "\n".join([*head, "", *lines, "", *advice])


def growth(steps: Sequence[Step]) -> str:
    """A Markdown table."""
    header = [
        "allocations",
        "events/s",
        "cores in total",
        "lanes",
        "reads per GET",
        "ms per GET",
        "reads/s",
        "partitions per minute",
    ]
    rows = [
        [
            f"{one.allocations:,}",
            f"{one.events_per_second:,.0f}",
            f"{one.cores:,.1f}",
            f"{one.lanes:,}",
            f"{one.reads_a_get:,.0f}",
            f"{one.get_ms:,.0f}",
            f"{one.reads_per_second:,.0f}",
            f"{one.partitions_a_minute:,}",
        ]
        for one in steps
    ]
    return _table(header, rows)


def constants(measured: Mapping[str, Measured]) -> str:
    """A Markdown table."""
    rows = [
        [name, f"{one.value:,g}", one.meaning, f"`{one.command}`", one.commit]
        for name, one in measured.items()
    ]
    return _table(["constant", "value", "what it is", "measured by", "commit"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _gb(count: float) -> str:
    return f"{count / 1e9:,.0f} GB" if count < 1e13 else f"{count / 1e12:,.0f} TB"
