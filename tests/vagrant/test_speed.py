"""How the suite of machines tells a slow machine from a fault."""

import pytest

from tests.vagrant.speed import Speed, Watch, busy_share, judge, processor_times

QUICK = Speed(answer_seconds=0.2, busy=0.6)
SLOW = Speed(answer_seconds=2.5, busy=0.6)
BUSY = Speed(answer_seconds=0.2, busy=0.99)
SILENT = Speed(answer_seconds=float("inf"), busy=0.1)


@pytest.mark.parametrize(
    ("unsure", "errors", "speed", "verdict"),
    [
        (0, {}, QUICK, "well"),
        (0, {}, SLOW, "well"),
        (75, {"http 503": 75}, QUICK, "broken"),
        (75, {"http 503": 75}, SLOW, "too slow"),
        (75, {"no answer in time": 75}, BUSY, "too slow"),
        (75, {"no answer in time": 75}, SILENT, "too slow"),
        (75, {"http 503": 57, "reused connection closed": 18}, SLOW, "broken"),
    ],
)
def test_only_what_a_slow_machine_explains_is_laid_to_it(
    unsure: int, errors: dict[str, int], speed: Speed, verdict: str
) -> None:
    assert judge(unsure, errors, speed) == verdict


def test_busy_is_what_was_neither_idle_nor_waiting() -> None:
    before = processor_times("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    after = processor_times("cpu  150 10 140 850 50 0 0 0 0 0\n")
    assert busy_share(before, after) == pytest.approx(0.5)
    assert busy_share(before, before) == 0


def test_a_watch_measures_while_it_lasts() -> None:
    with Watch(lambda: None) as watch:
        pass
    assert watch.speed.answer_seconds == float("inf"), "nobody was asked in so short a time"
    assert 0 <= watch.speed.busy <= 1
