"""The loads: the load test takes each, they last as long as they say, and a seed makes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sizing.loads import LOADS, Load, Shape, constant, control, step
from loadtest.arguments import parse
from loadtest.plan import Plan

shapes = st.builds(
    Shape,
    limit=st.integers(10, 10_000),
    most=st.integers(4, 12),
    seconds=st.integers(60, 7200),
    seed=st.integers(1, 100),
)
SHAPE = Shape(limit=150, most=5, seconds=120, seed=1)


def plan(load: Load) -> Plan:
    """What the load test makes of it."""
    found = parse(["--target", "cluster", *load.options, "--seconds", str(load.seconds)])
    assert isinstance(found, Plan)
    return found


@pytest.mark.parametrize("name", LOADS)
@given(shape=shapes)
def test_the_load_test_takes_each(name: str, shape: Shape) -> None:
    load = LOADS[name][1](shape)
    (one,) = plan(load).loads
    assert load.seconds == shape.seconds
    for rate in one.steps:
        assert rate.second < shape.seconds
        assert 0 < rate.rate <= max(shape.top, 2 * shape.limit)


@given(shapes)
def test_a_step_is_what_one_fewer_than_there_can_be_take(shape: Shape) -> None:
    load = step(shape)
    rates = plan(load).loads[0].steps
    assert [rate.second for rate in rates] == [0, load.rises_at, load.falls_at]
    assert rates[1].rate == load.top == load.needs * shape.limit
    assert rates[0].rate == rates[2].rate == shape.limit


def test_a_seed_makes_the_same_noise_and_another_one_another() -> None:
    steady = LOADS["steady"][1]
    other = Shape(150, 5, 120, seed=2)
    assert steady(SHAPE) == steady(SHAPE)
    assert steady(SHAPE) != steady(other)


def test_a_ramp_goes_up_and_down() -> None:
    rates = [rate.rate for rate in plan(LOADS["ramp"][1](SHAPE)).loads[0].steps]
    half = len(rates) // 2
    assert rates[:half] == sorted(rates[:half])
    assert rates[half:] == sorted(rates[half:], reverse=True)
    assert max(rates) == pytest.approx(SHAPE.top, rel=0.05)


def test_the_largest_burst_is_about_what_all_take_within_a_second() -> None:
    (options,) = [one.options for one in plan(LOADS["bursts"][1](SHAPE)).loads]
    bursts = SHAPE.seconds / 2.2
    assert int(options[-1]) * bursts == pytest.approx(SHAPE.most * SHAPE.limit, rel=0.1)


def test_what_one_takes_and_what_a_fixed_count_takes_twice() -> None:
    assert plan(constant(SHAPE)).loads[0].rate == 120
    rates = plan(control(150, 2, 60)).loads[0].steps
    assert [(rate.second, rate.rate) for rate in rates] == [(0, 300), (30, 600)]
