"""The floor of the calendar: what holds for every burst, and whose numbers it is made of."""

import re
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import floor as numbers
from capacity.constants import Constants, measured
from capacity.floor import Burst, Floor, FloorError, floor_for, room_of
from capacity.show import floor as shown
from capacity.sizing import Connections, costs_of
from tools.root import ROOT

CONSTANTS = Constants.of(measured())
RULES = (ROOT / "prometheus" / "rules" / "webhook.yml").read_text()
LONE = Burst(13_000, inf, Connections.NEW, cores=4, memory_mb=2048, busy=0.6)

bursts = st.builds(
    Burst,
    events=st.integers(1, 10_000_000),
    every_seconds=st.one_of(st.just(inf), st.floats(0.1, 3600)),
    connections=st.sampled_from(Connections),
    cores=st.integers(1, 128),
    memory_mb=st.integers(1856, 65_536),
    busy=st.floats(0.05, 1),
)


def enough(burst: Burst, found: Floor, allocations: int) -> bool:
    """Whether so many take the burst as the rules want it."""
    takes = burst.busy * 1e6 / costs_of(burst.connections, CONSTANTS).webhook
    in_time = burst.events * 1.25 <= allocations * takes * 2 * (1 + 1e-9)
    held = burst.events <= allocations * 20_000 * 0.6 * (1 + 1e-9)
    lasting = burst.events / burst.every_seconds <= allocations * takes * 0.6 * (1 + 1e-9)
    assert found.each_takes == pytest.approx(takes)
    return in_time and held and lasting


@given(bursts)
def test_one_may_be_missing_and_not_two(burst: Burst) -> None:
    found = floor_for(burst, CONSTANTS)
    assert enough(burst, found, found.allocations - 1)
    assert not enough(burst, found, found.allocations - 2) or found.allocations == 2


@given(bursts)
def test_they_fit_on_the_nodes_whose_cores_take_the_burst(burst: Burst) -> None:
    found = floor_for(burst, CONSTANTS)
    assert found.fits >= found.allocations
    assert found.nodes >= 3
    assert found.cores_used <= found.nodes * burst.cores * burst.busy * (1 + 1e-9)


@given(bursts, st.integers(1, 10))
def test_a_larger_burst_takes_no_less(burst: Burst, times: int) -> None:
    found, larger = (
        floor_for(one, CONSTANTS) for one in (burst, replace(burst, events=burst.events * times))
    )
    assert larger.allocations >= found.allocations
    assert larger.nodes >= found.nodes


def test_a_node_without_room_is_named() -> None:
    with pytest.raises(FloorError, match="1,855 MB has no room; 1,856 MB is the least"):
        floor_for(replace(LONE, memory_mb=1855), CONSTANTS)


def test_beyond_what_the_job_allows_that_is_said() -> None:
    few, many = (
        shown(one, floor_for(one, CONSTANTS)) for one in (LONE, replace(LONE, events=50_000))
    )
    assert "scaling" not in few
    assert "`max = 16` in `scaling` of nomad/webhook.nomad, which says 12" in many


@pytest.mark.parametrize(
    "words",
    [
        f"/ ({numbers.MEAN_PART} * webhook:events_per_second_each)",
        f"* {numbers.RESERVE} / ({numbers.BURST_SECONDS} * webhook:events_per_second_each)",
        f"/ ({numbers.QUEUE_PART} * webhook:held_events_each)",
        f"webhook_max_events_per_second * 0 + {0.6e6 / CONSTANTS.new.webhook:.0f})",
    ],
)
def test_numbers_are_those_of_the_rules(words: str) -> None:
    assert words in RULES


@pytest.mark.parametrize(
    ("name", "pattern", "value"),
    [
        ("webhook", r'WEBHOOK_MAX_HELD_EVENTS +=\s+"(\d+)"', numbers.HELD_EVENTS),
        ("webhook", r"max +=\s+(\d+)", numbers.MOST_ALLOCATIONS),
    ],
)
def test_numbers_are_those_of_the_jobs(name: str, pattern: str, value: int) -> None:
    found = re.search(pattern, (ROOT / "nomad" / f"{name}.nomad").read_text())
    assert found is not None
    assert int(found[1]) == value


def memory_mb(*jobs: str) -> int:
    """What they have to themselves."""
    texts = [(ROOT / "nomad" / f"{name}.nomad").read_text() for name in jobs]
    return sum(
        int(one) for text in texts for one in re.findall(r"^ +memory += (\d+)", text, re.MULTILINE)
    )


def test_the_others_take_what_their_jobs_say() -> None:
    """As in the room that tests/cluster/rules/test_scaling_jobs.py finds on nodes of 2 GB."""
    assert memory_mb("prometheus", "autoscaler") == numbers.SCALING_MB
    assert memory_mb("fabio") == numbers.FABIO_PLACED_MB
    assert [room_of(2048), room_of(2048 - numbers.SCALING_MB)] == [2, 1]
