"""The figures of a run."""

import random

import pytest

from tgibf.outcome import Ending, Outcome
from tgibf.tally import Tally

ACKED = Ending(Outcome.ACKED, error=None, connection_failed=False)


def test_percentiles_are_right_to_three_digits() -> None:
    """Latencies from microseconds to a minute, as in good runs and bad ones."""
    tally = Tally()
    chance = random.Random(1)
    latencies = [min(chance.lognormvariate(-5, 2), 60.0) for _ in range(20_000)]
    for latency in latencies:
        tally.settle(ACKED, 1, latency)
    latencies.sort()
    found = tally.latency()
    for share, value in ((0.5, found.p50), (0.99, found.p99), (0.999, found.p99_9)):
        assert value == pytest.approx(latencies[int(share * 19_999)] * 1000, rel=0.001, abs=0.001)
    assert found.max == pytest.approx(latencies[-1] * 1000, abs=0.001)


def test_a_post_of_many_events_counts_as_many() -> None:
    tally = Tally()
    tally.settle(ACKED, 99, 0.001)
    tally.settle(ACKED, 1, 5.0)
    found = tally.latency()
    assert found.p50 == found.p99 == pytest.approx(1.0, abs=0.0015)
    assert found.max == 5000


def test_no_percentile_is_above_the_longest() -> None:
    tally = Tally()
    tally.settle(ACKED, 1, 0.123456)
    found = tally.latency()
    assert found.p50 is not None
    assert found.max == 123.456
    assert found.p50 <= found.max


def test_an_event_that_was_answered_before_it_was_due_took_no_time() -> None:
    tally = Tally()
    tally.settle(ACKED, 1, -0.001)
    assert tally.latency().max == 0


def test_without_an_acknowledged_event_there_is_no_latency() -> None:
    tally = Tally()
    tally.settle(Ending(Outcome.REFUSED, error="http 503", connection_failed=False), 1, 1.0)
    found = tally.latency()
    assert (found.p50, found.p99, found.p99_9, found.max) == (None, None, None, None)
