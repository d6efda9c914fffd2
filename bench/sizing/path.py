"""A step's way to capacity: when enough were wanted, asked for, placed, and took events. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from bench.sizing.measures import capacity_seconds
from bench.sizing.record import Run

NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Allocation:
    """What Nomad says of one; Unix times, None for what has not happened."""

    placed_at: float
    started_at: float | None
    healthy_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Path:
    """Seconds from the step until each was true of as many allocations as it needs, or None."""

    wanted: float | None
    """By Prometheus' rules."""
    asked: float | None
    """By the autoscaler, of Nomad."""
    placed: float | None
    """On a node, by Nomad."""
    started: float | None
    healthy: float | None
    """To Nomad's deployment."""
    passing: float | None
    """To Consul."""
    routed: float | None
    """Each has taken events, so the routes and Fabio know it."""
    enough: float | None
    """Nothing is refused any more."""


PARTS = {
    "wanted": "wanted, by the rules",
    "asked": "asked of Nomad",
    "placed": "placed on nodes",
    "started": "started",
    "healthy": "healthy to Nomad",
    "passing": "passing in Consul",
    "routed": "each has taken events",
    "enough": "no event refused any more, for 5 s",
}
assert {*PARTS} == {field.name for field in fields(Path)}  # noqa: S101 - a table of this file


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run besides its record."""

    wanted: Sequence[tuple[float, float]]
    """What the rules recorded: Unix times and values."""
    asked: Sequence[tuple[float, int]]
    """What Nomad was told: Unix times and counts."""
    allocations: Sequence[Allocation]


def path(run: Run, rises_at: float, falls_at: float, needs: int, facts: Facts) -> Path:
    """The way from a step at second `rises_at` to `needs` allocations."""
    since, until = run.began + rises_at, run.began + falls_at
    alive = [one for one in facts.allocations if one.ended_at is None or one.ended_at > until]

    def after(moment: float | None) -> float | None:
        return None if moment is None or moment > until else max(0.0, moment - since)

    return Path(
        wanted=after(first_with(facts.wanted, needs, since)),
        asked=after(first_with(facts.asked, needs, since)),
        placed=after(reached([one.placed_at for one in alive], needs)),
        started=after(reached([one.started_at for one in alive], needs)),
        healthy=after(reached([one.healthy_at for one in alive], needs)),
        passing=after(first_with([(one.at, one.passing) for one in run.allocations], needs, since)),
        routed=after(reached(first_events(run).values(), needs)),
        enough=capacity_seconds(run, rises_at, falls_at),
    )


def first_with(seen: Iterable[tuple[float, float | int]], needs: int, since: float) -> float | None:
    """The first moment from `since` on with so many at least."""
    return min((at for at, value in seen if at >= since and value >= needs), default=None)


def reached(moments: Iterable[float | None], needs: int) -> float | None:
    """When it was true of `needs` of them."""
    known = sorted(moment for moment in moments if moment is not None)
    return known[needs - 1] if len(known) >= needs else None


def first_events(run: Run) -> dict[str, float]:
    """When each receiver first said that it had stored events, by address."""
    found: dict[str, float] = {}
    for one in run.samples.receivers:
        if not one.error and one.events.get("stored", 0) and one.address not in found:
            found[one.address] = one.at
    return found


def allocation_of(found: Mapping[str, Any], task: str) -> Allocation:
    """From what Nomad's API has of an allocation: times in nanoseconds, and as text."""
    state = (found.get("TaskStates") or {}).get(task) or {}
    health = found.get("DeploymentStatus") or {}
    return Allocation(
        placed_at=found["CreateTime"] / NANOSECONDS,
        started_at=_moment(state.get("StartedAt")),
        healthy_at=_moment(health.get("Timestamp")) if health.get("Healthy") else None,
        ended_at=_moment(state.get("FinishedAt")),
    )


def asked_of(events: Iterable[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """From Nomad's scaling events: those that it took, the first one first."""
    return sorted(
        (one["Time"] / NANOSECONDS, int(one["Count"]))
        for one in events
        if one.get("Count") is not None and not one.get("Error")
    )


def wanted_of(answer: Mapping[str, Any]) -> list[tuple[float, float]]:
    """From Prometheus' answer to a query over time: every value of the one series."""
    series = answer["data"]["result"]
    return [(float(at), float(value)) for at, value in series[0]["values"]] if series else []


def _moment(text: str | None) -> float | None:
    """Nomad has the year 1 for never."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).timestamp()
