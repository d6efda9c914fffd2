"""A step's way to capacity, from what Nomad, Prometheus and the load test say."""

from typing import Any

import pytest

from bench.sizing.path import (
    Allocation,
    Facts,
    allocation_of,
    asked_of,
    first_with,
    path,
    reached,
    wanted_of,
)
from bench.sizing.record import Receiver
from tests.bench.rules.runs import BEGAN, run_of

STEP, FALL = 30, 90


def allocation(at: float, ended_at: float | None = None) -> Allocation:
    """One that is placed then, starts 0.5 s later and is healthy after 2 s more."""
    return Allocation(BEGAN + at, BEGAN + at + 0.5, BEGAN + at + 2.5, ended_at)


def test_the_parts_are_of_the_allocation_that_makes_it_enough() -> None:
    receivers = [
        Receiver(BEGAN + at, address, {"stored": 5} if at > first else {})
        for address, first in (("a", 0), ("b", 0), ("c", 41), ("d", 43), ("e", 70))
        for at in range(first, 90)
    ]
    refused = [9 if 30 <= at < 44 else 0 for at in range(120)]
    passing = [2] * 42 + [4] * 78
    run = run_of(refused, wanted=[2] * 37 + [4] * 83, passing=passing, receivers=receivers)
    facts = Facts(
        wanted=[(BEGAN + 25, 2), (BEGAN + 31, 3), (BEGAN + 36, 5)],
        asked=[(BEGAN - 100, 5), (BEGAN + 32, 3), (BEGAN + 37, 5)],
        allocations=[
            *[allocation(-1000, BEGAN - 500)] * 3,  # of the run before
            *[allocation(-20)] * 2,
            allocation(33),
            allocation(37.5),
            allocation(60),
        ],
    )
    found = path(run, STEP, FALL, 4, facts)
    assert (found.wanted, found.asked, found.placed) == (6, 7, 7.5)
    assert (found.started, found.healthy) == (8, 10)
    assert (found.passing, found.routed, found.enough) == (12, 14, 14)


def test_what_comes_after_the_fall_was_not_reached() -> None:
    run = run_of([9] * 120, wanted=[2] * 120)
    facts = Facts([(BEGAN + 100, 9)], [], [allocation(0), allocation(95)])
    found = path(run, STEP, FALL, 2, facts)
    assert {found.wanted, found.asked, found.placed, found.routed, found.enough} == {None}
    assert found.passing == 0  # they were there before


def test_moments() -> None:
    assert reached([3.0, None, 1.0, 2.0], 3) == 3.0
    assert reached([3.0, None, 1.0], 3) is None
    assert first_with([(1, 5), (2, 4), (3, 5)], 5, 2) == 3
    assert first_with([], 5, 2) is None


def test_nomad_s_words() -> None:
    said: dict[str, Any] = {
        "CreateTime": 1_700_000_000_500_000_000,
        "DeploymentStatus": {"Healthy": True, "Timestamp": "2023-11-14T22:13:23.123456789Z"},
        "TaskStates": {"webhook": {"StartedAt": "2023-11-14T22:13:21Z", "FinishedAt": None}},
    }
    one = allocation_of(said, "webhook")
    assert one.placed_at == 1_700_000_000.5
    assert one.started_at == 1_700_000_001
    assert one.healthy_at == pytest.approx(1_700_000_003.123456)
    assert one.ended_at is None
    said["DeploymentStatus"] = None
    said["TaskStates"]["webhook"]["FinishedAt"] = "0001-01-01T00:00:00Z"
    assert allocation_of(said, "webhook").healthy_at is None
    assert allocation_of(said, "webhook").ended_at is None
    assert allocation_of({"CreateTime": 0, "TaskStates": None}, "webhook").started_at is None


def test_refused_scalings_are_none() -> None:
    events: list[dict[str, Any]] = [
        {"Time": 3_000_000_000, "Count": 4, "Error": False},
        {"Time": 2_000_000_000, "Count": 9, "Error": True},
        {"Time": 1_000_000_000, "Count": None, "Error": False},
        {"Time": 500_000_000, "Count": 2},
    ]
    assert asked_of(events) == [(0.5, 2), (3.0, 4)]


def test_prometheus_words() -> None:
    result = [{"metric": {}, "values": [[1.5, "2"], [6.5, "4"]]}]
    assert wanted_of({"data": {"result": result}}) == [(1.5, 2.0), (6.5, 4.0)]
    assert wanted_of({"data": {"result": []}}) == []
