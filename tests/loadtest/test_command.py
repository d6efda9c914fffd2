"""scripts/loadtest as a user types it: how it ends, and what it says when it can't begin."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harness.processes import processes_with
from harness.waiting import wait_for
from loadtest.display import Display, State
from loadtest.interrupts import Interrupts
from loadtest.record import Samples
from tests.support.checked_receiver import Receiver
from tests.support.path_proxy import PathProxy
from tests.support.scripts import SCRIPTS, figure, script
from tools.root import ROOT

TAKEN = ["--target", "http://127.0.0.1:1"]


def record(directory: Path) -> Any:
    return json.loads((directory / "report.json").read_text())


def test_ctrl_c_ends_the_load_and_yields_a_report(tmp_path: Path) -> None:
    directory = tmp_path / "report"
    command: list[str | Path] = [SCRIPTS / "loadtest", "--minutes", "35", "--report", directory]
    command += ["--window", "5", "--port", "0", "--rate", "250", "--keep-alive"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        ledger = directory / "ledger-steady"
        # Until the window has passed, so that the page has its plateau to show.
        wait_for(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") > 3000, "load", 120)
        running.send_signal(signal.SIGINT)
        output, told = running.communicate(timeout=120)
    assert running.returncode == 0, output + told
    assert output.splitlines()[-1] == "valid"
    assert record(directory)["interrupted"]
    page = (directory / "index.html").read_text()
    assert "It was ended early." in page
    assert 'id="plateau"' in page
    left = {path.name for path in directory.iterdir() if path.suffix != ".png"}
    assert left == {"index.html", "report.json", "summary.json"}
    assert not processes_with(str(directory))


def test_the_third_signal_gives_up_everything(tmp_path: Path) -> None:
    directory = tmp_path / "report"
    command: list[str | Path] = [SCRIPTS / "loadtest", "--report", directory, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        wait_for(lambda: (directory / "ledger-bursts").exists(), "the load", 120)
        # Three of a kind may count as one when they come together; which is last, is not known.
        for number in Interrupts.SIGNALS:
            running.send_signal(number)
        _, told = running.communicate(timeout=60)
    assert running.returncode in {128 + number for number in Interrupts.SIGNALS}
    assert "given up" in told
    assert not directory.exists()
    assert not processes_with(str(directory))


def test_a_url_without_its_store_is_judged_by_its_counts(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Events of others, from before, are told from its own."""
    receiver.post_many(50)
    directory = tmp_path / "report"
    options = ["--target", receiver.url, "--seconds", "3", "--rate", "100"]
    ended = script("loadtest", *options, "--report", directory)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    verdict = record(directory)["verdict"]
    assert verdict["ledger"] is None
    assert not verdict["counts"]["exact"]
    assert verdict["counts"]["final"][0]["count"] >= 50
    assert "No store was read" in (directory / "index.html").read_text()


def test_a_url_with_its_store_is_judged_event_by_event(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    receiver.post_many(50)
    directory = tmp_path / "report"
    options = ["--target", receiver.url, "--store", f"sqlite:///{store_path}"]
    ended = script("loadtest", *options, "--seconds", "3", "--rate", "100", "--report", directory)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert figure(ended.stdout, "unexpected") == 0
    (final,) = record(directory)["verdict"]["counts"]["final"]
    assert final["count"] == final["low"] == figure(ended.stdout, "acknowledged") + 50


def test_a_rate_that_changes(receiver: Receiver, tmp_path: Path) -> None:
    directory = tmp_path / "report"
    options = ["--target", receiver.url, "--seconds", "3", "--step", "0:50,1:200,2:100"]
    ended = script("loadtest", *options, "--report", directory)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (generator,) = record(directory)["generators"]
    assert generator["summary"]["sent"] == 50 + 200 + 100
    assert generator["steps"] == [[0, 50], [1, 200], [2, 100]]
    assert "50, 200, 100 events/s in turn" in (directory / "index.html").read_text()


def test_events_of_somebody_else_during_the_run_are_unexpected(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "report"
    command: list[str | Path] = [SCRIPTS / "loadtest", "--target", receiver.url]
    command += ["--store", f"sqlite:///{store_path}", "--report", directory]
    command += ["--seconds", "600", "--rate", "100"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        wait_for(lambda: (directory / "ledger-steady").exists(), "the load", 120)
        receiver.post({"type": "call.new", "id": "of-somebody-else"})
        running.send_signal(signal.SIGINT)
        output, told = running.communicate(timeout=60)
    assert running.returncode == 1, output + told
    assert figure(output, "unexpected") == 1
    assert "of-somebody-else" in (directory / "index.html").read_text()
    assert (directory / "ledger-steady").exists(), "what shows a fault is kept"


def test_odd_events_of_somebody_else_are_unexpected_like_others(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "report"
    options = ["--target", receiver.url, "--store", f"sqlite:///{store_path}", "--keep"]
    run = script("loadtest", *options, "--seconds", "1", "--rate", "50", "--report", directory)
    assert run.returncode == 0, run.stdout + run.stderr
    odd: list[object] = ["\ud800", 5, {"a": ["\udfff"]}, ""]
    for name in odd:
        assert receiver.post({"type": "x", "id": name}).status == 200
    assert receiver.post({"type": "x", "text": "\ud83d"}).status == 200
    judged = script("loadtest", "--judge", directory)
    assert "Traceback" not in judged.stderr
    assert judged.returncode == 1
    assert figure(judged.stdout, "unexpected") == len(odd) + 1
    assert judged.stdout.splitlines()[-1] == "INVALID"
    assert "\\ud800, received at" in (directory / "index.html").read_text()


@pytest.mark.parametrize("end", ["", "/", "/events"])
def test_a_receiver_behind_the_path_of_a_proxy(
    receiver: Receiver, store_path: Path, tmp_path: Path, end: str
) -> None:
    directory = tmp_path / "report"
    with PathProxy(receiver.url, "/calls") as proxy:
        options = ["--target", proxy.url + end, "--store", f"sqlite:///{store_path}"]
        load = ["--seconds", "2", "--rate", "50"]
        ended = script("loadtest", *options, *load, "--report", directory)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert figure(ended.stdout, "acknowledged") == 100
    assert record(directory)["target"]["urls"] == [proxy.url]


def test_a_run_in_which_nothing_was_acknowledged_is_not_valid(
    receiver: Receiver, tmp_path: Path
) -> None:
    """The count, 0, is right all the time."""
    directory = tmp_path / "report"
    with PathProxy(receiver.url, "/calls", posts=False) as proxy:
        load = ["--seconds", "2", "--rate", "50"]
        ended = script("loadtest", "--target", proxy.url, *load, "--report", directory)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-2:] == [
        "why: no event was acknowledged: the run shows nothing",
        "INVALID",
    ]
    assert "no event was acknowledged" in (directory / "index.html").read_text()
    assert json.loads((directory / "summary.json").read_text())["valid"] is False


def test_without_git_a_run_is_judged_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "report"
    (tmp_path / "empty").mkdir()
    command: list[str | Path] = [sys.executable, SCRIPTS / "loadtest", "--report", directory]
    ended = subprocess.run(
        [*command, "--seconds", "1", "--rate", "50", "--port", "0"],
        env={**os.environ, "PATH": str(tmp_path / "empty")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert record(directory)["commit"] == ""
    assert "not a checkout" in (directory / "index.html").read_text()


def test_a_load_under_nohup_outlives_who_started_it(receiver: Receiver, tmp_path: Path) -> None:
    directory = tmp_path / "report"
    command: list[str | Path] = ["nohup", sys.executable, SCRIPTS / "loadtest"]
    command += ["--target", receiver.url, "--seconds", "3", "--rate", "50", "--report", directory]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    ) as running:
        wait_for(lambda: (directory / "ledger-steady").exists(), "the load", 120)
        running.send_signal(signal.SIGHUP)
        output, told = running.communicate(timeout=60)
    assert running.returncode == 0, output + told
    assert not record(directory)["interrupted"]
    assert record(directory)["generators"][0]["summary"]["sent"] == 150


def test_docs_and_help_agree_on_a_run_that_was_ended_early() -> None:
    """It is judged like any other, as `test_ctrl_c_ends_the_load_and_yields_a_report` shows."""
    told = " ".join(script("loadtest", "--help").stdout.partition("exit codes:")[2].split())
    docs = (ROOT / "docs" / "load-test.md").read_text()
    rows = dict(re.findall(r"^\| ([01]) \| (.*) \|$", docs, re.MULTILINE))
    of_help = {"0": told.partition(" 1 INVALID")[0], "1": told.partition(" 1 INVALID")[2]}
    for words in (rows, of_help):
        assert "a run that Ctrl-C ended early is judged like any other" in words["0"]
        assert "no event was acknowledged" in words["1"]
        assert "interrupt" not in words["1"]


@pytest.mark.parametrize("arguments", [["--seconds", "1"], ["--judge", "report"]])
def test_a_folder_that_is_gone_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = ["sh", "-c", f'cd "{gone}" && rmdir "{gone}" && exec "$@"', "sh", sys.executable]
    ended = subprocess.run(
        [*command, SCRIPTS / "loadtest", *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --")
    assert ended.stderr.count("\n") == 1


def test_it_warns_when_the_generator_is_the_limit(receiver: Receiver, tmp_path: Path) -> None:
    directory = tmp_path / "report"
    options = ["--target", receiver.url, "--seconds", "2"]
    load = ["--rate", "100000", "--keep-alive"]
    ended = script("loadtest", *options, *load, "--report", directory)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "TGIBF fell behind its own schedule" in ended.stderr
    assert "TGIBF fell behind its own schedule" in (directory / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "moon"], "allowed is a URL or demo, cluster, vagrant"),
        (["--step", "10:100"], "the first step is at second 10; it must be at 0"),
        (["--target", "http://a..b:80"], "no host can have the name"),
        (["--target", f"http://{'x' * 300}"], "no host can have the name"),
        (["--target", f"http://{'.'.join(['x' * 59] * 5)}"], "no count is available"),
        ([*TAKEN, "--store", "cassandra://a..b/teracompra"], "neither a host name"),
        ([*TAKEN, "--store", "cassandra://[::g]/teracompra"], "--store: "),
        ([*TAKEN, "--store", "sqlite:////nowhere.db"], "there is no file /nowhere.db"),
        ([*TAKEN, "--store", "redis://x"], "is not a store"),
        (["--target", "http://127.0.0.1:1", "--seconds", "1"], "no count is available"),
        (["--minutes", "0"], "allowed is a number from"),
        (["--minutes", "1", "--seconds", "1"], "not allowed with"),
        (["--scale", "10:2"], "--scale needs a target that can be scaled"),
        (["--target", "cluster", "--scale", "10:2,10:3"], "does not come after"),
        (["--target", "cluster", "--scale", "10:0"], "leaves nobody to take events"),
        (["--target", "cluster", "--scale", "soon"], "is not SECOND:COUNT"),
        (["--keep-alive"], "give --rate N or --step"),
        (["--rate", "10", "--burst-size", "5"], "give --bursts too"),
        (["--store", "sqlite:///x"], "--store is for a target URL"),
        (
            ["--target", "http://127.0.0.1:1", "--window", "5"],
            "--window is for the demo's receiver",
        ),
        (["--again", "/nowhere/report.json"], "No such file"),
        (["--judge", "/nowhere"], "No such file"),
    ],
)
def test_what_cannot_be_is_explained(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where `report/` would be
    ended = script("loadtest", *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_report_is_not_written_over(tmp_path: Path) -> None:
    ended = script("loadtest", "--seconds", "1", "--report", tmp_path)
    assert ended.returncode == 2
    assert "name a new folder" in ended.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not the record of a load test"),
        ("{}", "is not the record of a load test"),
        ('{"schema": 1}', "is not the record of a load test"),
        ('{"schema": 0}', "has schema 0"),
    ],
)
def test_only_a_record_is_drawn(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    ended = script("loadtest", "--again", file)
    assert ended.returncode == 2
    assert words in ended.stderr


def test_a_run_whose_ledger_is_gone_cannot_be_judged_anew(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "report"
    options = ["--target", receiver.url, "--store", f"sqlite:///{store_path}"]
    assert not script("loadtest", *options, "--seconds", "1", "--report", directory).returncode
    judged = script("loadtest", "--judge", directory)
    assert judged.returncode == 2
    assert "can be judged as long as all is kept: --keep" in judged.stderr


def test_a_ledger_that_is_gone_makes_no_valid_run(tmp_path: Path) -> None:
    directory = tmp_path / "report"
    command: list[str | Path] = [SCRIPTS / "loadtest", "--report", directory, "--port", "0"]
    with subprocess.Popen(
        [*command, "--rate", "200"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        ledger = directory / "ledger-steady"
        wait_for(lambda: ledger.exists() and b" acked" in ledger.read_bytes(), "the load", 120)
        os.truncate(ledger, 0)
        output, told = running.communicate(timeout=120)
    assert running.returncode == 1, output + told
    assert "somebody has cut it" in told
    assert "why: the ledger does not name every event" in output
    assert figure(output, "unexpected") == 0
    assert (directory / "index.html").exists()


def test_a_full_disk_keeps_no_outcome_back(small_disk: Path) -> None:
    """Of the receiver's store, of the ledger and the series, of the report, on one small disk."""
    directory = small_disk / "report"
    options = ["--seconds", "600", "--rate", "500", "--keep-alive", "--port", "0"]
    ended = script("loadtest", *options, "--report", directory)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "No space left on device" in ended.stderr
    assert f"error: the report in {directory} is not whole" in ended.stderr
    assert ended.stdout.splitlines()[-1] == "INVALID"
    assert figure(ended.stdout, "lost") == figure(ended.stdout, "unexpected") == 0
    assert "Traceback" not in ended.stderr
    assert not (directory / "report.new").exists()


def test_progress_that_cannot_be_shown_costs_no_run() -> None:
    class Full(StringIO):
        def write(self, _text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with redirect_stderr(Full()):
        display = Display()
        display.show(State("demo", 0.0, 60.0, Samples(), {"acked": 0, "refused": 0, "unknown": 0}))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 600 KB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)
