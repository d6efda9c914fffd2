"""Properties of the window's arithmetic."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.window import SLICE_SECONDS, Window, isoformat

NOW = st.floats(min_value=1e9, max_value=4e9, allow_nan=False)
LENGTH = st.integers(min_value=1, max_value=4000)
OFFSETS = st.dictionaries(st.integers(-5000, 100), st.integers(1, 10_000), max_size=50)


@given(NOW, LENGTH)
def test_a_window_ends_with_the_running_second(now: float, seconds: int) -> None:
    window = Window.ending_at(now, seconds)
    assert window.end - 1 <= now < window.end
    assert window.seconds == seconds


@given(NOW, LENGTH, OFFSETS)
def test_the_total_is_every_event_from_the_start_on(
    now: float, seconds: int, offsets: dict[int, int]
) -> None:
    window = Window.ending_at(now, seconds)
    counts = {int(now) + offset: count for offset, count in offsets.items()}
    events = [second for second, count in counts.items() for _ in range(count)]
    assert window.total(counts) == sum(second >= window.start for second in events)


@given(NOW, LENGTH, OFFSETS)
def test_slices_join_up_cover_the_window_and_sum_to_the_total(
    now: float, seconds: int, offsets: dict[int, int]
) -> None:
    window = Window.ending_at(now, seconds)
    counts = {int(now) + offset: count for offset, count in offsets.items()}
    slices = window.slices(counts)
    assert (slices[0][0], slices[-1][1]) == (window.start, window.end)
    assert all(one[1] == other[0] for one, other in pairwise(slices))
    assert all(end - start == SLICE_SECONDS for start, end, _ in slices[1:])
    assert 0 < slices[0][1] - slices[0][0] <= SLICE_SECONDS
    assert sum(count for _, _, count in slices) == window.total(counts)
    for start, end, count in slices[:-1]:
        assert count == sum(n for second, n in counts.items() if start <= second < end)


@given(NOW, LENGTH, OFFSETS)
def test_a_later_window_never_counts_more_of_the_same_events(
    now: float, seconds: int, offsets: dict[int, int]
) -> None:
    counts = {int(now) + offset: count for offset, count in offsets.items()}
    totals = [Window.ending_at(now + later, seconds).total(counts) for later in range(0, 4000, 97)]
    assert totals == sorted(totals, reverse=True)


@given(NOW, st.integers(1, 50))
def test_a_steady_rate_is_its_own_mean(now: float, rate: int) -> None:
    counts = {int(now) - ago: rate for ago in range(20)}
    assert Window.ending_at(now, 1800).events_per_second(counts) == rate


def test_the_rate_leaves_the_running_second_out() -> None:
    window = Window.ending_at(1000.5, 1800)
    assert window.events_per_second({1000: 50, 999: 10, 994: 1000}) == 2.0


@pytest.mark.parametrize(
    ("second", "text"), [(0, "1970-01-01T00:00:00Z"), (1795782600, "2026-11-27T12:30:00Z")]
)
def test_isoformat(second: int, text: str) -> None:
    assert isoformat(second) == text
