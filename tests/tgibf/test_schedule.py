"""The arithmetic of the steady mode: every POST of a schedule is due, at its moment."""

from fractions import Fraction
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from tgibf.schedule import Schedule, Step

RATES = st.integers(min_value=1, max_value=10_000)
BATCHES = st.integers(min_value=1, max_value=1000)
SECONDS = st.integers(min_value=1, max_value=1000)
STEPS = st.lists(st.tuples(st.integers(1, 100), RATES), min_size=1, max_size=6)


def schedule_of(lengths_and_rates: list[tuple[int, int]]) -> tuple[Step, ...]:
    """Steps of these lengths, in seconds, and rates."""
    starts = accumulate([length for length, _ in lengths_and_rates], initial=0)
    return tuple(Step(at, rate) for at, (_, rate) in zip(starts, lengths_and_rates, strict=False))


@given(RATES, BATCHES, SECONDS)
def test_a_rate_has_rate_times_seconds_events(rate: int, batch: int, seconds: int) -> None:
    exact = -(-rate * seconds // batch)

    assert Schedule([Step(0, rate)], batch).posts_within(seconds) == exact


@given(STEPS, BATCHES)
def test_steps_have_the_events_of_each(steps: list[tuple[int, int]], batch: int) -> None:
    seconds = sum(length for length, _ in steps)
    exact = -(-Fraction(sum(length * rate for length, rate in steps)) // batch)

    assert Schedule(schedule_of(steps), batch).posts_within(seconds) == exact


@given(STEPS, BATCHES)
def test_each_post_is_due_later_and_just_those_before_a_moment_are_within_it(
    steps: list[tuple[int, int]], batch: int
) -> None:
    schedule = Schedule(schedule_of(steps), batch)
    some = [0, 1, 2, 7, 50, 999]
    moments = [schedule.due(post) for post in some]

    assert moments[0] == 0
    assert all(one < later for one, later in pairwise(moments))
    for post, due in zip(some, moments, strict=True):
        least = batch / max(rate for _, rate in steps)  # no two are closer together
        assert schedule.posts_within(due + least / 2) == post + 1


@given(RATES, BATCHES, st.integers(0, 100_000))
def test_a_single_rate_is_even(rate: int, batch: int, post: int) -> None:
    due = Schedule([Step(0, rate)], batch).due(post)

    assert abs(due - Fraction(post * batch, rate)) < 1e-6
