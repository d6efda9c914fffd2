"""What a count must be: the bounds hold for every course of events, and are no wider than that."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from loadtest.record import CountSample, Latency, LoadSecond
from loadtest.verdict.expectation import VISIBLE_SECONDS, Expectation, Received

NOTHING = Latency(None, None, None, None)
BEGAN = 1_000_000
WINDOW = 20


def second(at: float, sent: int, acked: int, refused: int = 0) -> LoadSecond:
    """A line of a series; what is neither acked nor refused is unknown."""
    unknown = sent - acked - refused
    return LoadSecond(at, 1.0, sent, acked, refused, unknown, {}, 0, 0.0, None, NOTHING)


def sample(asked: float, count: int = 0) -> CountSample:
    """A count of the window that is open then."""
    return CountSample(asked, 0.01, "", count, int(asked) - WINDOW + 1)


def run(amounts: list[tuple[int, int, int]]) -> tuple[list[LoadSecond], Received]:
    """A run of seconds of (acked, refused, unknown), of whose unknown ones each is stored."""
    load, rows = [], Counter[int]()
    for number, (acked, refused, unknown) in enumerate(amounts):
        load.append(second(BEGAN + number + 1, acked + refused + unknown, acked, refused))
        rows[BEGAN + number] += acked + unknown
    return load, Received(rows, {})


amounts = st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=60)


@given(amounts, st.floats(0, 59), st.booleans())
def test_a_right_count_is_within_the_bounds(
    amounts: list[tuple[int, int, int]], asked: float, stored: bool
) -> None:
    """Also right: all that was received up to the moment of the question, or a little less."""
    load, received = run(amounts)
    one = sample(BEGAN + asked)
    assert one.since is not None
    for until in (int(asked), int(asked) - VISIBLE_SECONDS):
        count = sum(
            events for at, events in received.own.items() if one.since <= at < BEGAN + until
        )
        low, high = Expectation({"load": load}, received if stored else None, []).of(one)
        assert low <= count <= high


@given(amounts)
def test_with_the_rows_the_last_count_has_one_right_value(
    amounts: list[tuple[int, int, int]],
) -> None:
    load, received = run(amounts)
    for since in (BEGAN - 5, BEGAN + len(amounts) // 2, BEGAN + len(amounts) + 5):
        rows = sum(count for at, count in received.own.items() if at >= since)
        assert Expectation({"load": load}, received, []).finally_of(since) == (rows, rows)


@given(amounts)
def test_without_rows_the_last_count_is_held_by_the_ledger(
    amounts: list[tuple[int, int, int]],
) -> None:
    load, received = run(amounts)
    for since in (BEGAN - 5, BEGAN + len(amounts) // 2, BEGAN + len(amounts) + 5):
        low, high = Expectation({"load": load}, None, []).finally_of(since)
        rows = sum(count for at, count in received.own.items() if at >= since)
        assert 0 <= low <= rows <= high


def test_a_count_that_lacks_what_was_acknowledged_is_out() -> None:
    load, received = run([(100, 0, 0)] * 10)
    expectation = Expectation({"load": load}, received, [])
    low, high = expectation.of(sample(BEGAN + 8.5))
    assert (low, high) == (700, 900)


def test_what_others_stored_before_is_counted_until_it_leaves_the_window() -> None:
    load, received = run([(100, 0, 0)] * 30)
    others = {BEGAN - 10: 7}
    with_rows = Expectation({"load": load}, Received(received.own, others), [])
    by_slices = Expectation({"load": load}, None, [(BEGAN - 10, BEGAN - 9, 7)])
    for expectation in (with_rows, by_slices):
        early, late = expectation.of(sample(BEGAN + 3)), expectation.of(sample(BEGAN + 25))
        without = Expectation({"load": load}, received if expectation is with_rows else None, [])
        assert early[0] == without.of(sample(BEGAN + 3))[0] + 7
        assert late == without.of(sample(BEGAN + 25))
