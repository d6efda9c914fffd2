"""From looks at processes to a table of what each part uses and has. Pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

from bench.figures import table

MB = 1 << 20
"""Nomad's MB."""
LITTLE = 0.5
"""Of what is set aside: with less at the most, less would do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One of a part: an allocation's task, or all processes of an agent on a node."""

    memory: int
    """Resident bytes."""
    peak: int
    """The most that were resident since it was looked at first, between two looks, too."""
    cpu_seconds: float
    """So far."""


@dataclass(frozen=True, slots=True)
class Look:
    """All units at a moment (monotonic seconds), by part and name."""

    at: float
    units: Mapping[tuple[str, str], Unit]


@dataclass(frozen=True, slots=True)
class Given:
    """What is set aside for one of a part."""

    memory_mb: int
    memory_max_mb: int
    """What it may have at times; the same where the job does not say."""
    cpu_mhz: int
    """0 where nothing is."""


@dataclass(slots=True)
class Usage:
    """What those of a part used."""

    names: set[str] = field(default_factory=set)
    memory: list[int] = field(default_factory=list)
    peak: int = 0
    cores: list[float] = field(default_factory=list)


def usage_of(looks: Sequence[Look]) -> dict[str, Usage]:
    """By part, over all of its units."""
    found: dict[str, Usage] = {}
    for look in looks:
        for (part, name), unit in look.units.items():
            usage = found.setdefault(part, Usage())
            usage.names.add(name)
            usage.memory.append(unit.memory)
            usage.peak = max(usage.peak, unit.peak)
    for look, later in pairwise(looks):
        for (part, name), unit in later.units.items():
            before = look.units.get((part, name))
            if before is not None and later.at > look.at:
                # Less: one of its processes has ended.
                used = max(0.0, unit.cpu_seconds - before.cpu_seconds)
                found[part].cores.append(used / (later.at - look.at))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` of all don't exceed (0.5: the lower median).

    Raises ValueError if there are none.
    """
    if not values:
        raise ValueError("a percentile of no values")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


HEADER = (
    "part",
    "of them",
    "memory set aside, MB",
    "p50",
    "p99",
    "largest",
    "CPU set aside, MHz",
    "p50",
    "p99",
    "largest",
    "memory is",
)


def show(usages: Mapping[str, Usage], given: Mapping[str, Given], core_mhz: float) -> str:
    """A Markdown table of the parts, in the order of `given`; then those that have nothing."""
    names = [*(name for name in given if name in usages), *sorted(usages.keys() - given.keys())]
    return table(HEADER, [_row(name, usages[name], given.get(name), core_mhz) for name in names])


def judgement(largest_mb: float, given: Given | None) -> str:
    """What is to be said of what is set aside."""
    if given is None:
        return "not set aside"
    if largest_mb > given.memory_max_mb:
        return "too little"
    if largest_mb > given.memory_mb:
        return "less than the peak, which is allowed for"
    return "more than twice the peak" if largest_mb < LITTLE * given.memory_mb else "right"


def _row(name: str, usage: Usage, given: Given | None, core_mhz: float) -> list[str]:
    largest = usage.peak / MB
    memory = [one / MB for one in usage.memory]
    mhz = [one * core_mhz for one in usage.cores]
    return [
        name,
        f"{len(usage.names)}",
        _memory_of(given),
        *(f"{percentile(memory, share):,.0f}" for share in (0.5, 0.99)),
        f"{largest:,.0f}",
        f"{given.cpu_mhz:,}" if given and given.cpu_mhz else "-",
        *(f"{percentile(mhz, share):,.0f}" if mhz else "-" for share in (0.5, 0.99, 1.0)),
        judgement(largest, given),
    ]


def _memory_of(given: Given | None) -> str:
    if given is None:
        return "-"
    more = f" to {given.memory_max_mb:,}" if given.memory_max_mb > given.memory_mb else ""
    return f"{given.memory_mb:,}{more}"
