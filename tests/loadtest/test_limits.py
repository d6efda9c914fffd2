"""When the generator itself is the limit, it is said."""

from loadtest.record import Latency, LoadSecond, MachineSample
from loadtest.watch.limits import warnings

NOTHING = Latency(None, None, None, None)


def second(errors: dict[str, int] | None = None, behind_ms: float = 0.0) -> LoadSecond:
    return LoadSecond(0.0, 1.0, 10, 10, 0, 0, errors or {}, 0, behind_ms, None, NOTHING)


def machine(cores: float) -> MachineSample:
    """The generator used so much of a core."""
    return MachineSample(0.0, 1.0, {}, {}, {"bursts": cores}, 0, 0, 0)


def test_a_generator_that_is_well_needs_no_words() -> None:
    load = {"bursts": [second({"http 503": 5})] * 60}
    assert warnings(load, [machine(0.5)] * 60) == []


def test_ports_and_files_that_ran_out_are_this_machines_limit() -> None:
    load = {"bursts": [second({"out of local ports": 5, "http 503": 5})] * 2}
    (said,) = warnings(load, [])
    assert said.startswith("bursts: 10 events were never sent, out of local ports")


def test_a_schedule_that_was_not_kept() -> None:
    (said,) = warnings({"steady": [second(behind_ms=70), second(behind_ms=1200)]}, [])
    assert "by 1,200 ms at worst" in said


def test_a_core_that_is_used_whole_for_some_seconds() -> None:
    load = {"bursts": [second()]}
    assert warnings(load, [machine(1.0)] * 4) == []
    (said,) = warnings(load, [machine(1.0)] * 7 + [machine(0.2)] * 13)
    assert "a whole core in 7 of 20 s" in said
