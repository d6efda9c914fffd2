"""The rate of one process, from its running total."""

from hypothesis import given
from hypothesis import strategies as st

from webhook.rate import RecentRate
from webhook.window import RATE_SECONDS


def test_nothing_yet_is_zero() -> None:
    assert RecentRate().events_per_second(1000.5) == 0.0


def test_the_running_second_is_not_over() -> None:
    rate = RecentRate()
    rate.note(500, 1000.1)
    assert rate.events_per_second(1000.9) == 0.0
    assert rate.events_per_second(1001.0) == 100.0


def test_a_total_is_told_again_and_again() -> None:
    rate = RecentRate()
    for total, now in ((10, 1000.0), (10, 1000.2), (30, 1000.9), (30, 1001.0), (50, 1002.0)):
        rate.note(total, now)
    assert rate.events_per_second(1003.0) == 10.0


def test_an_old_second_counts_no_more() -> None:
    rate = RecentRate()
    rate.note(500, 1000.5)
    assert rate.events_per_second(1005.9) == 100.0
    assert rate.events_per_second(1006.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 3)), max_size=50), st.floats(0, 9))
def test_it_is_the_mean_of_the_last_whole_seconds(
    steps: list[tuple[int, float]], later: float
) -> None:
    rate = RecentRate()
    total, now = 0, 1000.0
    noted: list[tuple[int, int]] = []
    for events, seconds in steps:
        total += events
        now += seconds
        noted.append((int(now), events))
        rate.note(total, now)
    now += later
    recent = range(int(now) - RATE_SECONDS, int(now))
    expected = sum(events for second, events in noted if second in recent) / RATE_SECONDS
    assert rate.events_per_second(now) == expected
