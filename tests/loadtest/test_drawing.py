"""Reports of runs that saw little or nothing, or went wrong."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from loadtest.record import (
    SCHEMA,
    AllocationSample,
    CountSample,
    CountVerdict,
    FinalCount,
    GeneratorRecord,
    Latency,
    LedgerVerdict,
    LoadSecond,
    MachineSample,
    Mark,
    ReceiverSample,
    Record,
    Samples,
    TargetRecord,
    Verdict,
    read_record,
)
from loadtest.report import writing as report
from tests.support.scripts import SCRIPTS

BEGAN = 1_000_000.0
NOTHING = Latency(None, None, None, None)


def record(samples: Samples, verdict: Verdict, marks: list[Mark]) -> Record:
    """Of ten seconds at the cluster."""
    samples.load.setdefault("steady", [])
    return Record(
        schema=SCHEMA,
        began=BEGAN,
        load_ended=BEGAN + 10,
        planned_seconds=10,
        interrupted=False,
        target=TargetRecord("cluster", ["http://a:1", "http://b:1"], "", 5, ""),
        baseline=[],
        generators=[GeneratorRecord("steady", 10.0, ["python", "-m", "tgibf"], "ledger-steady")],
        marks=marks,
        warnings=[],
        machine={"cores": "2"},
        versions={},
        commit="",
        samples=samples,
        verdict=verdict,
    )


def drawn(directory: Path, one: Record) -> str:
    """The page; what it was made of reads back as the same."""
    report.write(directory, one)
    assert read_record(directory / "report.json") == one
    return (directory / "index.html").read_text()


def test_a_run_that_saw_nothing(tmp_path: Path) -> None:
    broken = "steady: TGIBF broke off: no space left on device"
    page = drawn(tmp_path, record(Samples(), Verdict(None, None, broken), []))
    assert broken in page
    assert "INVALID" in page
    assert "Not available from this target: allocations, receivers." in page


def test_a_run_in_which_nobody_answered(tmp_path: Path) -> None:
    second = LoadSecond(
        BEGAN + 1, 1.0, 10, 0, 10, 0, {"connect: refused": 10}, 0, 0.0, None, NOTHING
    )
    samples = Samples(
        load={"steady": [second]},
        count=[CountSample(BEGAN, 0.1, "http://a:1", error="refused")],
        receivers=[ReceiverSample(BEGAN, "http://a:2", error="refused")],
        allocations=[AllocationSample(BEGAN, error="no Nomad answers")],
        machine=[MachineSample(BEGAN + 1, 1.0, {}, {}, {}, 0, 0, 0)],
    )
    verdict = Verdict(None, CountVerdict(False, [], 0, [], []))
    page = drawn(tmp_path, record(samples, verdict, []))
    assert "no receiver answered with a count at the end" in page
    assert "connect: refused" in page


def test_what_was_wrong_is_named(tmp_path: Path) -> None:
    wrong = CountSample(BEGAN + 5, 0.1, "http://a:1", 7, int(BEGAN))
    verdict = Verdict(
        LedgerVerdict(10, 9, 1, 0, 2, 0, 3, {"lost": ["run-1"], "unexpected": ["<b>"]}),
        CountVerdict(
            True, [FinalCount("http://a:1", BEGAN + 11, 0, 9, 8, 8)], 4, [wrong], [(8, 9)]
        ),
    )
    page = drawn(tmp_path, record(Samples(count=[wrong]), verdict, []))
    for words in (
        "1 acknowledged events are not in the store",
        "2 events are in the store that were refused or never sent",
        "3 events are in the store more than once",
        "the last count at http://a:1 was 9, not 8",
        "1 of 4 counts were outside their bounds",
        "run-1",
        "&lt;b&gt;",
    ):
        assert words in page
    assert "<b>" not in page


def test_what_was_done_stands_in_every_chart(tmp_path: Path) -> None:
    looks = [AllocationSample(BEGAN + at, 2, 2, 2, {"node-1": 2}) for at in range(10)]
    marks = [Mark(BEGAN + 5, "scale to 4")]
    page = drawn(tmp_path, record(Samples(allocations=looks), Verdict(None, None), marks))
    charts = page.split('<section id="chart-')[1:]
    assert len(charts) == 6
    assert [chart.partition('"')[0] for chart in charts if "scale to 4" not in chart] == ["errors"]


def test_no_settings_of_the_user_or_the_folder_change_a_chart(tmp_path: Path) -> None:
    drawn(tmp_path, record(Samples(), Verdict(None, None), []))
    pictures = {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".json"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "matplotlibrc").write_text(
        "figure.facecolor: red\nlines.linewidth: 9\nsavefig.bbox: tight\nxtick.direction: in\n"
    )
    command: list[str | Path] = [
        sys.executable,
        SCRIPTS / "loadtest",
        "--again",
        tmp_path / "report.json",
    ]
    again = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stderr  # the run's verdict
    changed = [path.name for path, data in pictures.items() if path.read_bytes() != data]
    assert changed == []


def test_a_record_of_another_schema_is_not_guessed_at(tmp_path: Path) -> None:
    one = msgspec.structs.replace(record(Samples(), Verdict(None, None), []), schema=SCHEMA + 1)
    with pytest.raises(Exception, match=f"this version reads {SCHEMA}"):
        drawn(tmp_path, one)
