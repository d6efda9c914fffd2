"""How the suite of machines tells a slow machine from a fault."""

import subprocess
import time
from collections.abc import Mapping
from itertools import count
from math import inf

import pytest

from tests.vagrant.speed import (
    HOST,
    TICKS,
    Look,
    Speed,
    Watch,
    host_busy,
    judge,
    keep_up,
    machines_busy,
    processors,
    saturated,
)
from tests.vagrant.summary import errors, figure, is_whole
from tgibf.outcome import OUT_OF_PORTS, Ending, Outcome
from tgibf.summary import summarize
from tgibf.tally import Tally

QUICK = Speed(170, {"node-1": 0.05}, answer_seconds=0.2)
SLOW = Speed(170, {"node-1": 0.63, HOST: 0.3}, answer_seconds=0.2)
STUCK = Speed(170, {}, answer_seconds=inf)  # a receiver that hangs on a machine with time to spare
SECONDS = count(step=1000)  # more than can pass between two looks
STATS = """Domain: 'teracompra-node-1'
  vcpu.current=1
  vcpu.maximum=1
  vcpu.0.state=1
  vcpu.0.time=9930000000
  vcpu.0.wait=0
  vcpu.0.delay=250000000

Domain: 'teracompra-node-2'
  vcpu.current=1
  vcpu.maximum=1

"""


@pytest.mark.parametrize(
    ("errors", "speed", "verdict"),
    [
        ({}, QUICK, "well"),
        ({}, SLOW, "well"),
        ({"http 503": 75}, QUICK, "broken"),
        ({"http 503": 75}, STUCK, "broken"),
        ({"http 503": 75}, SLOW, "too slow"),
        ({"timeout": 70, "reset": 5}, SLOW, "too slow"),
        ({"http 503": 57, "reused connection closed": 18}, SLOW, "broken"),
        ({"http 500": 1}, SLOW, "broken"),
        ({"connect: refused": 1}, SLOW, "broken"),
    ],
)
def test_only_what_a_slow_machine_explains_is_laid_to_it(
    errors: dict[str, int], speed: Speed, verdict: str
) -> None:
    assert judge(sum(errors.values()), errors, speed) == verdict


@pytest.mark.parametrize(("speed", "verdict"), [(QUICK, "broken"), (SLOW, "too slow")])
def test_events_that_were_never_sent_are_missed_too(speed: Speed, verdict: str) -> None:
    assert judge(75, {}, speed) == verdict


def test_a_load_that_was_too_much_is_skipped_with_what_was_measured() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^too slow: the job: 75 of 2,400 ev") as skip:
        keep_up("the job", 2400, 2325, {"http 503": 75}, SLOW)
    words = "nothing lost; share of 170 s without time to spare: node-1 63%, the host 30%; /health"
    assert words in str(skip.value)
    with pytest.raises(AssertionError, match="share of 170 s without time to spare: none"):
        keep_up("the job", 2400, 2325, {"http 503": 75}, STUCK)
    keep_up("the job", 2400, 2400, {}, SLOW)


def test_a_processor_has_no_time_to_spare_while_it_has_work() -> None:
    """node-1 works from 5 s to 15 s, and node-2 all the time from its boot on."""
    looks = [
        Look(0, {"node-1": 100.0}),
        Look(5, {"node-1": 101.0}),
        Look(10, {"node-1": 105.9, "node-2": 3.0}),
        Look(15, {"node-1": 110.5, "node-2": 8.0}),
        Look(20, {"node-1": 110.6, "node-2": 13.0}),
        Look(25, {"node-1": 0.5, "node-2": 18.0}),  # booted again
    ]
    assert saturated(looks) == pytest.approx({"node-1": 0.4, "node-2": 0.6})


def test_a_machine_has_work_while_it_runs_or_waits_for_the_host() -> None:
    assert machines_busy(STATS) == {"node-1": 10.18}
    assert machines_busy("") == {}


def test_the_host_has_work_while_it_is_neither_idle_nor_waiting_for_a_disk() -> None:
    stat = "cpu  100 20 30 800 40 3 7 40 0 0\ncpu0 50 10 20\ncpu1 50 10 10\nintr 1\n"
    assert host_busy(stat) == pytest.approx(200 / TICKS / 2)
    assert set(processors(STATS)) == {"node-1", HOST}


def working() -> Mapping[str, float]:
    return {"node-1": next(SECONDS)}


def resting() -> Mapping[str, float]:
    return {"node-1": 0.0}


@pytest.mark.parametrize(
    "error", [TimeoutError("3 receivers: not within 9 s"), subprocess.TimeoutExpired("loadtest", 9)]
)
def test_a_wait_in_vain_is_skipped_where_machines_were_too_slow(error: Exception) -> None:
    with (
        pytest.raises(pytest.skip.Exception, match=r"^too slow: .* 9 s.*: node-1 100%; /health di"),
        Watch(working, lambda: None),
    ):
        raise error
    with pytest.raises(type(error)) as waited, Watch(resting, lambda: None):
        raise error
    assert "share of 0 s without time to spare: none" in waited.value.__notes__[0]


def test_a_failure_on_a_slow_machine_is_a_failure() -> None:
    with pytest.raises(AssertionError), Watch(working, lambda: None):
        raise AssertionError


def test_a_watch_asks_a_receiver_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.vagrant.speed.LOOK_SECONDS", 0.01)
    with Watch(resting, lambda: time.sleep(0.02)) as watch:
        time.sleep(0.1)
    assert 0.02 <= watch.speed.answer_seconds < 1
    with Watch(resting, no_answer) as watch:
        time.sleep(0.1)
    assert watch.speed.answer_seconds == inf
    assert not watch.speed.too_slow, "that nobody answers is no sign of a slow machine"


def no_answer() -> None:
    raise ConnectionRefusedError


def test_errors_are_read_back_as_tgibf_prints_them() -> None:
    tally = Tally()
    tally.settle(Ending(Outcome.ACKED, None, connection_failed=False), 2325, 0.1)
    tally.settle(Ending(Outcome.UNKNOWN, "http 503", connection_failed=False), 1057, 0)
    tally.settle(Ending(Outcome.REFUSED, OUT_OF_PORTS, connection_failed=True), 18, 0)
    text = summarize(tally, mode="steady", urls=[], seconds=120, warnings=[]).as_text()
    assert is_whole(text)
    assert (figure(text, "acked"), figure(text, "unknown")) == (2325, 1057)
    assert errors(text) == {"http 503": 1057, OUT_OF_PORTS: 18}
