"""The load test as a child: what it tells of a receiver, and that nothing of it is left behind."""

from pathlib import Path

import pytest

from bench.sizing.loads import Load
from bench.sizing.measures import outcome, stored_per_second
from bench.sizing.trials import TrialError, trial
from harness.processes import processes_with
from tests.support.checked_receiver import Receiver

LIMIT = 20


def test_a_receiver_with_a_limit_refuses_what_is_more(store_path: Path, tmp_path: Path) -> None:
    load = Load(("--step", f"0:{LIMIT // 2},3:{4 * LIMIT},9:{LIMIT // 2}"), 16, 3, 9)
    with (
        Receiver(store_path, max_events_per_second=LIMIT) as receiver,
        trial(load, tmp_path / "run", receiver.url) as running,
    ):
        running.await_second(1)
        run = running.finish()
    found = outcome(run, load.rises_at, load.falls_at)
    offered = 3 * LIMIT // 2 + 6 * 4 * LIMIT + 7 * LIMIT // 2
    assert abs(found.sent - offered) <= 1
    assert 0 < found.refused < 6 * 4 * LIMIT
    assert found.failed == 0
    assert found.capacity_seconds is None  # nobody came to its help
    assert stored_per_second(run, 4, 9) <= 1.5 * LIMIT
    assert run.valid


def test_one_that_can_t_begin_says_why(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    load = Load(("--rate", "1"), 5)
    with (
        pytest.raises(TrialError, match=r"exit code 2: .*no count is available"),
        trial(load, tmp_path / "run", nowhere) as running,
    ):
        running.finish()
    with (
        pytest.raises(TrialError, match=r"before its load began: .*no count is available"),
        trial(load, tmp_path / "again", nowhere) as running,
    ):
        running.await_second(1)


def test_what_is_left_early_leaves_nothing_behind(receiver: Receiver, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    load = Load(("--rate", "20"), 600)

    def interrupted() -> None:
        with trial(load, folder, receiver.url) as running:
            running.await_second(1)
            assert processes_with(str(folder))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not processes_with(str(folder))
