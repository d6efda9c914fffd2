"""The highest of the last 15 s, against all that came in."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook.lag
from tests.support.virtual_time import VirtualClock, run
from tests.webhook.rules.examples import examples
from webhook.lag import LoopLag
from webhook.peaks import PEAK_SECONDS, SLICES, BusiestSecond, Peak

BEGAN_AT = 1000.0
PAUSES = st.sampled_from([0.0, 0.0, 1 / 64, 0.06, 0.3, 0.9, 1.0]) | st.floats(0, 20)
STEPS = st.lists(st.tuples(PAUSES, st.integers(0, 1000)), max_size=60)

Came = Sequence[tuple[float, int]]


def timeline(steps: Came) -> list[tuple[float, int]]:
    """When how many came in, from the pauses before each."""
    now, came = BEGAN_AT, []
    for pause, number in steps:
        now += pause
        came.append((now, number))
    return came


def busiest(came: Came) -> BusiestSecond:
    second = BusiestSecond()
    for now, number in came:
        second.add(number, now)
    return second


def test_nothing_yet_is_zero() -> None:
    assert BusiestSecond().highest(BEGAN_AT) == 0
    assert Peak().highest(BEGAN_AT) == 0


@given(STEPS, st.floats(0, 20))
@examples(300)
def test_it_is_the_fullest_run_of_16_slices_that_ended_lately(steps: Came, later: float) -> None:
    came = timeline(steps)
    now = (came[-1][0] if came else BEGAN_AT) + later
    slices = [(int(at * SLICES), number) for at, number in came]
    seconds = {
        end: sum(number for at, number in slices if end - SLICES < at <= end) for end, _ in slices
    }
    oldest = int(now) - PEAK_SECONDS
    lately = [total for end, total in seconds.items() if end // SLICES >= oldest]
    assert busiest(came).highest(now) == max(lately, default=0)


@given(STEPS)
@examples(200)
def test_it_is_no_more_than_came_in_within_a_second(steps: Came) -> None:
    came = timeline(steps)
    seconds = [sum(n for other, n in came if at <= other < at + 1) for at, _ in came]
    assert busiest(came).highest(came[-1][0] if came else BEGAN_AT) <= max(seconds, default=0)


@given(st.floats(0, 3), st.floats(0, 15 / 16), st.integers(1, 50), st.floats(0, 15))
@examples(200)
def test_a_burst_over_a_second_s_edge_is_counted_whole(
    began: float, seconds: float, parts: int, later: float
) -> None:
    second = BusiestSecond()
    for part in range(parts):
        second.add(100, BEGAN_AT + began + seconds * part / parts)
    last = BEGAN_AT + began + seconds * (parts - 1) / parts
    assert second.highest(last + min(later, PEAK_SECONDS - 0.001)) == 100 * parts


def test_a_look_changes_nothing() -> None:
    """Also in the middle of a slice, and a look by an earlier time."""
    often, once = BusiestSecond(), BusiestSecond()
    for tick in range(200):
        now = BEGAN_AT + tick / 100
        often.add(tick, now)
        once.add(tick, now)
        often.highest(now)
        often.highest(now - 5)
    assert often.highest(BEGAN_AT + 2) == once.highest(BEGAN_AT + 2) > 0


@pytest.mark.parametrize("step", [-3600.0, -1.0, -0.01, 0.0])
def test_a_clock_that_is_set_back_loses_nothing(step: float) -> None:
    second, peak = BusiestSecond(), Peak()
    second.add(500, BEGAN_AT)
    second.add(500, BEGAN_AT + step)
    assert second.highest(BEGAN_AT) == 1000
    peak.note(7, BEGAN_AT)
    peak.note(9, BEGAN_AT + step)
    assert peak.highest(BEGAN_AT) == 9


def test_a_clock_that_jumps_forward_leaves_what_was_behind() -> None:
    second = BusiestSecond()
    second.add(500, BEGAN_AT)
    second.add(3, BEGAN_AT + 3600)
    assert second.highest(BEGAN_AT + 3600) == 3


@pytest.mark.parametrize("within", [0.0, 0.5, 0.999])
def test_a_peak_is_kept_for_15_seconds_and_less_than_16(within: float) -> None:
    second, peak = BusiestSecond(), Peak()
    second.add(500, BEGAN_AT + within)
    peak.note(500, BEGAN_AT + within)
    for one in (second, peak):
        assert one.highest(BEGAN_AT + within + PEAK_SECONDS) == 500
        assert one.highest(BEGAN_AT + within + PEAK_SECONDS + 1) == 0


@given(st.lists(st.tuples(PAUSES, st.floats(0, 1000)), max_size=60), st.floats(0, 20))
@examples(200)
def test_the_highest_level_of_the_last_seconds(
    steps: list[tuple[float, float]], later: float
) -> None:
    peak, now = Peak(), BEGAN_AT
    noted = []
    for pause, level in steps:
        now += pause
        peak.note(level, now)
        noted.append((int(now), level))
    now += later
    lately = [level for second, level in noted if second >= int(now) - PEAK_SECONDS]
    assert peak.highest(now) == max(lately, default=0)


def test_the_lag_of_a_loop_that_stood_still() -> None:
    clock = VirtualClock()
    lag = LoopLag()

    async def test() -> None:
        assert lag.worst(clock.monotonic()) <= 0
        watch = asyncio.create_task(lag.watch())
        await asyncio.sleep(1)
        assert lag.worst(clock.monotonic()) == pytest.approx(0, abs=1e-6)
        clock.advance(2.5)  # somebody computes
        assert lag.worst(clock.monotonic()) == pytest.approx(2.4, abs=0.11)
        await asyncio.sleep(5)
        worst = lag.worst(clock.monotonic())
        assert worst == pytest.approx(2.4, abs=0.11)
        await asyncio.sleep(PEAK_SECONDS)
        assert lag.worst(clock.monotonic()) == pytest.approx(0, abs=1e-6)
        watch.cancel()

    run(test(), clock, [webhook.lag])
