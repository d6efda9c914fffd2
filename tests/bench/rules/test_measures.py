"""What came of a run."""

from pathlib import Path

import pytest

from bench.sizing.control import control_of
from bench.sizing.measures import (
    busiest_refusing,
    capacity_seconds,
    changes,
    cpu_each,
    failed,
    mean_running,
    outcome,
    stored_per_second,
)
from bench.sizing.record import Allocations, Machine, Receiver, RecordError, Second, read_run
from tests.bench.rules.runs import BEGAN, run_of


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ([0] * 20, 0.0),
        ([0, 0, 9, 9, 9, *[0] * 15], 3.0),  # seconds 3 to 5, the step at 2
        ([0, 0, 9, 0, 0, 0, 0, 9, *[0] * 12], 6.0),  # four calm seconds are none
        ([0, 0, 9, 0, 0, 0, 0, 0, 9, *[0] * 11], 1.0),  # five are
        ([0, 0, *[9] * 18], None),
        ([0, 0, *[9] * 15, 0, 0, 0], None),  # it may come again
        ([9, 9, *[0] * 18], 0.0),  # before the step
    ],
)
def test_capacity_is_there_when_nothing_is_refused_for_a_while(
    refused: list[int], expected: float | None
) -> None:
    assert capacity_seconds(run_of(refused), 2.0) == expected


def test_what_is_refused_after_the_fall_is_not_the_step_s() -> None:
    run = run_of([0, 0, 9, *[0] * 7, 9, 9, 9])
    assert capacity_seconds(run, 2.0, 10.0) == 1.0
    assert capacity_seconds(run_of([0, 0, *[9] * 8, *[0] * 10]), 2.0, 10.0) is None


def test_what_was_refused_for_overload_has_not_failed() -> None:
    run = run_of([0, 10])
    assert failed(run) == 0
    run.seconds[0].refused, run.seconds[0].errors["reset"] = 2, 2
    assert failed(run) == 2
    # An unknown outcome counts, though the answer was 503.
    run.seconds[1].unknown, run.seconds[1].errors["http 503"] = 3, 13
    assert failed(run) == 3


def test_changes_are_of_the_count_and_not_of_looks() -> None:
    assert changes([]) == changes([2]) == changes([2, 2, 2]) == 0
    assert changes([2, 4, 4, 5, 4, 4]) == 3


def test_the_mean_is_over_time() -> None:
    run = run_of(seconds=10)
    run.samples.allocations = [
        Allocations(BEGAN, 2, 2),
        Allocations(BEGAN + 9, 4, 4),
        Allocations(BEGAN + 10, 4, 4),
        Allocations(BEGAN + 99, 9, 9),  # after the load
        Allocations(BEGAN + 5, error="no Nomad answers"),
    ]
    assert mean_running(run) == pytest.approx(2.2)
    assert mean_running(run_of(seconds=10)) == 0


def test_the_machine_counts_where_something_was_refused() -> None:
    busy = {"user": 1.0, "system": 0.5, "io_wait": 0.5}
    looks = [
        Machine(BEGAN + at + 1, 1.0, busy if at in {0, 4} else {"user": 0.2}) for at in range(6)
    ]
    assert busiest_refusing(run_of([0, 0, 5, 0, 0, 0], machine=looks)) == pytest.approx(0.1)
    assert busiest_refusing(run_of([0, 0, 0, 0, 5, 0], machine=looks)) == pytest.approx(0.75)
    assert busiest_refusing(run_of([0] * 6, machine=looks)) == 0


def test_an_outcome_has_it_all() -> None:
    run = run_of([0, 0, 50, *[0] * 7], wanted=[2, 2, 2, 4, 4, 4, 4, 4, 4, 4])
    found = outcome(run, 2.0, 9.0)
    assert (found.sent, found.refused, found.failed, found.changes) == (1000, 50, 0, 1)
    assert found.refused_share == 0.05
    assert found.capacity_seconds == 1.0
    assert found.changes_an_hour == pytest.approx(360)
    assert found.allocation_minutes == pytest.approx(found.mean_running / 6)
    assert found.sound
    run.valid = False
    assert not outcome(run).sound
    assert not outcome(run).stepped
    assert outcome(run_of()).refused_share == 0


def test_a_control_run_tells_the_limit_and_its_cost() -> None:
    refused = [0] * 30 + [300] * 30
    receivers = [
        Receiver(BEGAN + at, address, cpu_seconds=at * 0.04)
        for at in range(60)
        for address in ("a", "b")
    ]
    run = run_of(refused, sent=600, receivers=receivers)
    assert stored_per_second(run, 35, 59) == 300
    assert cpu_each(run, 5, 30) == pytest.approx(0.04)
    assert cpu_each(run_of(refused), 5, 30) == 0
    found = control_of(run, 2, 150)
    assert found.holds
    assert "stored 300 of 600 offered per second, with 0.040 cores each" in found.words()
    less = control_of(run, 2, 200)
    assert not less.holds
    assert "VOID" in less.words()


def test_a_report_is_read_whatever_else_it_has(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(
        '{"schema": 1, "began": 1.0, "load_ended": 3.0, "samples": {"load": {"steady": ['
        '{"at": 2.0, "seconds": 1.0, "sent": 5, "acked": 4, "refused": 1, "unknown": 0,'
        ' "errors": {"http 503": 1}, "in_flight": 0}]}}}'
    )
    run = read_run(file, valid=False)
    assert run.seconds == [Second(2.0, 1.0, 5, 4, 1, 0, {"http 503": 1})]
    assert (run.valid, run.cores) == (False, 1)
    file.write_text("{}")
    with pytest.raises(RecordError, match="is no report of a load test"):
        read_run(file, valid=True)
    with pytest.raises(RecordError, match="can't read"):
        read_run(tmp_path / "none", valid=True)
