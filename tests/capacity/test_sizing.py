"""Sizing: what holds for every need, and that it is made of what was measured."""

import re
from dataclasses import fields, replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import sizing
from capacity.constants import FILE, Constants, measured
from capacity.growth import LANES, growth
from capacity.sizing import REPLICAS, Connections, Need, costs_of, size
from tools.root import ROOT

CONSTANTS = Constants.of(measured())

needs = st.builds(
    Need,
    events_per_second=st.floats(0.001, 1e6),
    peak_factor=st.floats(1, 100),
    retention_days=st.floats(0.1, 365),
    connections=st.sampled_from(Connections),
    cores=st.integers(1, 128),
    disk_gb=st.floats(1, 10_000),
    busy=st.floats(0.05, 1),
    filled=st.floats(0.05, 1),
)


@given(needs)
def test_the_cores_that_one_dead_node_leaves_carry_the_peak(need: Need) -> None:
    found = size(need, CONSTANTS)
    left = (found.nodes - 1) * need.cores * need.busy
    assert found.cores_used <= left * (1 + 1e-9)
    assert found.cores_used == pytest.approx(
        need.peak * costs_of(need.connections, CONSTANTS).all / 1e6
    )


@given(needs)
def test_the_allocations_that_one_dead_node_leaves_carry_the_peak(need: Need) -> None:
    found = size(need, CONSTANTS)
    left = found.allocations - ceil(found.allocations / found.nodes)
    assert left * found.allocation_events_per_second >= need.peak * (1 - 1e-9)
    webhook = costs_of(need.connections, CONSTANTS).webhook
    assert found.allocation_events_per_second * webhook / 1e6 == pytest.approx(need.busy)


@given(needs)
def test_one_allocation_less_would_be_too_few(need: Need) -> None:
    found = size(need, CONSTANTS)
    fewer = found.allocations - 1
    left = fewer - ceil(fewer / found.nodes)
    few_enough = left * found.allocation_events_per_second <= need.peak * (1 + 1e-9)
    assert few_enough or found.allocations == sizing.LEAST_ALLOCATIONS


def test_the_largest_need_takes_no_time() -> None:
    """On few nodes, whatever these may be: the number was once counted up to."""
    need = Need(1e9, 1e6, 7, Connections.NEW, 10**12, 1e6, 0.6, 0.5)
    found = size(need, CONSTANTS)
    assert found.allocations > 1e11


@given(needs)
def test_the_disks_hold_all_that_is_kept(need: Need) -> None:
    found = size(need, CONSTANTS)
    room = found.nodes * need.disk_gb * 1e9 * need.filled
    assert found.disk_bytes <= room * (1 + 1e-9)
    events = need.events_per_second * 86_400 * need.retention_days
    assert found.disk_bytes == pytest.approx(events * CONSTANTS.disk_bytes * REPLICAS)


@given(needs)
def test_it_is_never_less_than_survives_a_death(need: Need) -> None:
    found = size(need, CONSTANTS)
    assert found.nodes >= REPLICAS
    assert found.allocations >= 2
    assert found.nodes == max(found.nodes_for_cpu, found.nodes_for_disk)


@given(needs)
def test_no_node_and_no_allocation_is_idle_luxury(need: Need) -> None:
    """One node less, where there are more than the least, and something no longer fits."""
    found = size(need, CONSTANTS)
    if found.nodes > REPLICAS:
        less = found.nodes - 1
        cpu = found.cores_used > (less - 1) * need.cores * need.busy * (1 - 1e-9)
        disk = found.disk_bytes > less * need.disk_gb * 1e9 * need.filled * (1 - 1e-9)
        assert cpu or disk
        assert (found.first_limit == "CPU" and cpu) or (found.first_limit == "disk" and disk)


@given(needs, st.floats(1, 10))
def test_more_never_takes_less(need: Need, times: float) -> None:
    found = size(need, CONSTANTS)
    for more in (
        replace(need, events_per_second=need.events_per_second * times),
        replace(need, peak_factor=need.peak_factor * times),
        replace(need, retention_days=need.retention_days * times),
    ):
        larger = size(more, CONSTANTS)
        assert larger.nodes >= found.nodes
        assert larger.disk_bytes >= found.disk_bytes
        assert larger.cores_used >= found.cores_used


def test_growth_is_in_step_but_for_the_reads() -> None:
    ten, hundred = growth(CONSTANTS, 0.6, Connections.NEW, (10, 100))
    assert hundred.events_per_second == pytest.approx(10 * ten.events_per_second)
    assert hundred.cores == pytest.approx(10 * ten.cores)
    assert hundred.reads_per_second > 50 * ten.reads_per_second
    assert ten.lanes == 10 * LANES


def test_growth_goes_through_what_was_measured() -> None:
    (eight,) = growth(CONSTANTS, 0.6, Connections.NEW, (8,))
    assert eight.lanes == 16
    assert eight.reads_a_get == pytest.approx(CONSTANTS.reads_with_16_lanes)
    assert eight.get_ms == pytest.approx(CONSTANTS.get_ms_with_16_lanes)


def test_every_constant_says_where_it_comes_from() -> None:
    for name, one in measured().items():
        assert one.value > 0, name
        assert re.fullmatch(r"[0-9a-f]{12}", one.commit), name
        script = ROOT / one.command.split()[0]
        assert script.is_file(), f"{name} in {FILE.name}: there is no {script}"


def test_every_constant_is_used() -> None:
    costs = {
        f"{kind}_{field.name}_us"
        for kind in ("kept_alive", "new")
        for field in fields(CONSTANTS.new)
    }
    others = {field.name for field in fields(Constants)} - {"kept_alive", "new"}
    assert measured().keys() == costs | others


@pytest.mark.parametrize(
    ("file", "pattern", "value"),
    [
        ("nomad.hcl", r"reserved \{\s+memory = (\d+)", sizing.RESERVED_MB),
        ("fabio.nomad", r"memory_max = (\d+)", sizing.FABIO_MB),
        ("webhook.nomad", r"memory = (\d+)", sizing.ALLOCATION_MB),
    ],
)
def test_memory_is_what_is_set_aside(file: str, pattern: str, value: int) -> None:
    match = re.search(pattern, (ROOT / "nomad" / file).read_text())
    assert match is not None
    assert int(match[1]) == value
