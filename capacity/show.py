"""Sizing, growth and constants as text."""

from collections.abc import Mapping, Sequence

from capacity.constants import Measured
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
