"""The time that expiry goes by."""

from hypothesis import given
from hypothesis import strategies as st

from webhook.store.sqlite.elapsed import CONFIRM_SECONDS, SLACK_SECONDS, ElapsedTime
from webhook.store.sqlite.expiry import KNOW_SECONDS

DAY = 24 * 3600.0
START = 1_790_000_000.0


def test_a_clock_that_keeps_step_is_believed() -> None:
    time = ElapsedTime(START - 1, START, 100.0)
    for passed in range(0, 10_000, 5):
        assert time.now(START + passed, 100.0 + passed) == START + passed
        assert not time.held


def test_a_jump_of_days_for_a_moment_expires_nothing() -> None:
    time = ElapsedTime(START, START, 0.0)
    time.now(START + 5, 5.0)
    for passed in (6.0, 9.0, 12.0):
        assert time.now(START + 8 * DAY + passed, passed) == START + passed
        assert time.held
    assert time.now(START + 13, 13.0) == START + 13
    assert not time.held


def test_a_machine_that_boots_in_1970_expires_nothing_when_it_is_set_right() -> None:
    time = ElapsedTime(START, 30.0, 30.0)
    assert time.now(35.0, 35.0) == 35.0
    assert time.now(START + 40, 40.0) < START - 7 * DAY
    assert time.held


def test_a_clock_that_was_right_is_believed_after_an_hour() -> None:
    """As after three days without a receiver."""
    time = ElapsedTime(START - 3 * DAY, START, 0.0)
    passed = 0.0
    while passed < CONFIRM_SECONDS:
        assert time.now(START + passed, passed) == START - 3 * DAY + passed
        passed += 60
    assert time.now(START + passed, passed) == START + passed
    assert not time.held


def test_a_second_jump_begins_the_hour_anew() -> None:
    time = ElapsedTime(START, START, 0.0)
    time.now(START + DAY, 1.0)
    time.now(START + 2 * DAY, CONFIRM_SECONDS - 1)
    assert time.now(START + 2 * DAY + 2, CONFIRM_SECONDS + 1) < START + DAY
    assert time.held


def test_a_clock_that_was_set_back_is_not_believed_the_next_time() -> None:
    """It was ahead when nothing was stored yet, so nothing spoke against it."""
    time = ElapsedTime(None, START + 8 * DAY, 0.0)
    assert time.now(START + 8 * DAY + 1, 1.0) == START + 8 * DAY + 1
    assert time.now(START + 2, 2.0) == START + 2
    assert time.now(START + 8 * DAY + 3, 3.0) == START + 3
    assert time.held


@given(
    st.floats(-60 * DAY, 60 * DAY),
    st.lists(st.tuples(st.floats(0, 60), st.floats(-20 * DAY, 20 * DAY)), max_size=40),
)
def test_it_is_never_ahead_of_the_clock_nor_of_the_time_that_has_passed(
    newest: float, steps: list[tuple[float, float]]
) -> None:
    """Unless an hour has confirmed the clock, which `steps` are too short for."""
    time = ElapsedTime(START + newest, START, 0.0)
    monotonic, wall, passed_at_most = 0.0, START, 0.0
    for elapsed, step in steps:
        monotonic += elapsed
        wall += elapsed + step
        passed_at_most += elapsed + SLACK_SECONDS
        now = time.now(wall, monotonic)
        assert now <= wall
        assert now <= START + passed_at_most


@given(
    st.floats(-20 * DAY, 20 * DAY),
    st.lists(
        st.tuples(
            st.floats(0, 2 * CONFIRM_SECONDS),
            st.floats(-20 * DAY, 20 * DAY),
            st.floats(0, CONFIRM_SECONDS - 1),
            st.booleans(),
        ),
        max_size=8,
    ),
)
def test_after_a_right_moment_no_jump_of_less_than_an_hour_is_believed(
    at_first: float, turns: list[tuple[float, float, float, bool]]
) -> None:
    """Whatever it was before. So what is younger than the retention doesn't expire, by any jump."""
    time = ElapsedTime(None, START + at_first, 0.0)
    passed = 0.0
    for right_seconds, ahead, wrong_seconds, restarts in turns:
        for seconds, error in ((right_seconds, 0.0), (wrong_seconds, ahead)):
            if error and restarts:
                known = time.believed - KNOW_SECONDS
                time = ElapsedTime(known, START + passed + error, passed)
            end = passed + seconds
            while True:
                assert time.now(START + passed + error, passed) <= START + passed + SLACK_SECONDS
                if passed >= end:
                    break
                passed = min(passed + 300, end)
