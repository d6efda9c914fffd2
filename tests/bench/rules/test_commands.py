"""What the commands are told, and what they print."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.parts.cli import main as parts
from bench.sizing import compare, goals
from bench.sizing.control import Control
from bench.sizing.measures import Outcome
from bench.sizing.options import Options
from bench.sizing.record import RecordError
from bench.sizing.staging import cron
from bench.sizing.trials import Patience, TrialError

Main = Callable[[Sequence[str]], int]
OPTIONS = Options(300, 3, 150, 5, 100, Path("report"))
CONTROL = Control(2, 150, 299.0, 0.043)
RUN = Outcome(1000, 50, 0, True, 8.0, 3, 0.25, 3.5, 12.0, 0.3, True)


@pytest.mark.parametrize(
    ("main", "arguments", "words"),
    [
        (compare.main, ["--loads", "flood"], "invalid choice: 'flood'"),
        (compare.main, ["--signals", "luck"], "invalid choice: 'luck'"),
        (compare.main, ["--minutes", "0.5"], "allowed is a number from 1 to 120"),
        (compare.main, ["--rounds", "0"], "allowed is 1 to 100"),
        (compare.main, ["--look-back", "601"], "allowed is 30 to 600"),
        (compare.main, ["--most", "3"], "allowed is 4 to 12"),
        (goals.main, ["--cases", "luck"], "invalid choice: 'luck'"),
        (goals.main, ["--limit", "1"], "allowed is 10 to 10000"),
        (goals.main, ["--report", "docs"], "it is there already; name a new folder"),
        (parts, ["--seconds", "1"], "allowed is 2 to 86400"),
    ],
)
def test_bad_arguments_are_explained(
    main: Main, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_a_comparison_has_a_table_for_each_load_in_the_order_of_the_signals() -> None:
    results: dict[tuple[str, str], list[Outcome]] = {
        ("step", "peak"): [RUN, replace(RUN, refused=100, capacity_seconds=None)],
        ("step", "mean"): [RUN],
        ("steady", "mean"): [replace(RUN, stepped=False, capacity_seconds=None)],
    }
    text = "\n".join(compare.report(results, OPTIONS, CONTROL))
    assert "2 allocations of 150 events/s stored 299 of 600 offered per second" in text
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["signal", "---", "mean", "peak", "signal", "---", "mean"]
    assert cells[3][:4] == ["peak", "2", "7.50 (5.00-10.00)", "8.0 (8.0-8.0), not reached in 1"]
    assert cells[6][3:6] == ["-", "3 (3-3)", "12 (12-12)"]
    assert compare.UNSOUND not in text


def test_a_run_that_shows_nothing_is_named() -> None:
    results = {("step", "mean"): [RUN, replace(RUN, busiest_refusing=0.7)]}
    text = "\n".join(compare.report(results, OPTIONS, CONTROL))
    assert "| mean | 2, 1 unsound |" in text
    assert "unsound: 1 runs." in text


def test_goals_have_a_line_for_each_figure() -> None:
    results: dict[tuple[str, str], list[float | None]] = {
        ("step", "s from the step until healthy to Nomad"): [9.5, None, 8.5],
        ("step", "refused, events"): [10.0, 1200.0, 30.0],
        ("step", compare.UNSOUND): [0.0, 1.0, 0.0],
    }
    text = "\n".join(goals.report(results, OPTIONS, CONTROL))
    healthy = "9.0 (8.5-9.5), not reached in 1"
    assert f"| step | s from the step until healthy to Nomad | {healthy} | 3 |" in text
    assert "| step | refused, events | 30 (10-1,200) | 3 |" in text
    assert "unsound: 1 of step." in text
    assert goals.shown_value([None]) == compare.NOT_REACHED
    assert goals.shown_value([4.0]) == "4"


def test_a_calendar_s_begin_is_a_minute_of_the_year_in_utc() -> None:
    assert cron(1_795_780_859) == "0 12 27 11 *"


def test_the_third_failure_in_a_row_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    patience = Patience()

    def fail_once() -> None:
        with patience.kept("1-step-mean"):
            raise TrialError("exit code 2: no cluster")

    fail_once()
    fail_once()
    with patience.kept("1-step-cpu"):
        pass
    fail_once()
    with patience.kept("1-step-peak"):
        raise RecordError("no report")
    with pytest.raises(TrialError):
        fail_once()
    said = capsys.readouterr().err
    assert said.count("1-step-mean is left out: exit code 2: no cluster") == 4
