"""The scripts as a user types them."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness.processes import processes_with
from harness.waiting import wait_for
from tests.support.scripts import SCRIPTS, figure, script
from tools.root import ROOT

NAMES = sorted(
    path.name for path in SCRIPTS.iterdir() if path.is_file() and os.access(path, os.X_OK)
)


@pytest.mark.parametrize("name", NAMES)
def test_every_script_has_help(name: str) -> None:
    shown = script(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "usage" in shown.stdout.lower()


def test_the_load_test_is_a_package_too() -> None:
    command = [sys.executable, "-m", "loadtest", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == script("loadtest", "--help").stdout


@pytest.mark.parametrize("path", sorted((ROOT / "node" / "bin").iterdir()), ids=lambda p: p.name)
def test_every_program_of_a_node_has_help(path: Path) -> None:
    shown = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"usage: {path.name}")


def test_the_demo_ends_with_acknowledged_equal_to_counted(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    ended = script("demo", "--seconds", "3", "--keep", kept)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "open the live page: http://127.0.0.1:" in ended.stderr
    acknowledged = figure(ended.stdout, "acknowledged")
    assert acknowledged == figure(ended.stdout, "counted") == figure(ended.stdout, "sent") >= 1000
    assert figure(ended.stdout, "errors") == figure(ended.stdout, "lost") == 0
    assert "OK" in ended.stdout
    assert not processes_with(str(kept))


def test_a_proxy_in_the_environment_is_not_asked_for_what_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    ended = script("demo", "--seconds", "1", "--keep", tmp_path / "kept")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_verify_finds_a_deleted_and_a_doubled_event(tmp_path: Path) -> None:
    """Acknowledged rows that disappear from the real store make the run invalid."""
    kept = tmp_path / "kept"
    assert script("demo", "--seconds", "1", "--keep", kept).returncode == 0
    store = f"sqlite:///{kept / 'events.db'}"
    valid = script("verify", kept / "ledger", store)
    assert (valid.returncode, valid.stdout.splitlines()[-1]) == (0, "valid"), valid.stderr

    with closing(sqlite3.connect(kept / "events.db")) as db:
        db.execute("DELETE FROM events WHERE id IN (10, 20, 30)")
        db.execute(
            "INSERT INTO events (received_at, type, body) "
            "SELECT received_at, type, body FROM events WHERE id = 40"
        )
        db.commit()
    invalid = script("verify", kept / "ledger", store)
    assert (invalid.returncode, invalid.stdout.splitlines()[-1]) == (1, "INVALID")
    assert figure(invalid.stdout, "lost") == 3
    assert figure(invalid.stdout, "duplicates") == 1


def test_verify_gives_no_verdict_on_what_an_incomplete_ledger_does_not_name(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept"
    assert script("demo", "--seconds", "1", "--keep", kept).returncode == 0
    ledger, store = kept / "ledger", f"sqlite:///{kept / 'events.db'}"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:500]))  # as a full disk or a kill -9 leaves it
    cut = script("verify", ledger, store)
    assert cut.returncode == 3
    assert f"{len(lines) - 2 - 499} of theirs are stored" in cut.stdout
    assert figure(cut.stdout, "unexpected") == 0


def test_the_demo_ends_in_order_on_ctrl_c(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command: list[str | Path] = [SCRIPTS / "demo"]
    command += ["--seconds", "600", "--keep", kept]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, process_group=0
    ) as demo:
        ledger = kept / "ledger"  # its first line tells of its beginning, and not of an event yet
        wait_for(
            lambda: ledger.exists() and len(ledger.read_bytes().splitlines()) > 1, "events", 60
        )
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, output
    assert "OK" in output
    assert not processes_with(str(kept))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    kept = tmp_path / "kept"
    command: list[str | Path] = [SCRIPTS / "demo"]
    command += ["--seconds", "600", "--keep", kept]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        ledger = kept / "ledger"
        wait_for(lambda: ledger.exists() and ledger.stat().st_size > 0, "the first burst", 60)
        demo.send_signal(number)
        assert demo.wait(60) == 128 + number
    assert not processes_with(str(kept))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--seconds", "0"], "1 to 1700"),
        (["demo", "--seconds", "soon"], "1 to 1700"),
        (["demo", "--keep", "/proc"], "does not exist"),
        (["demo", "--port", "70000"], "0 to 65535"),
        (["demo", "--port", "-1"], "0 to 65535"),
        (["demo", "--port", "http"], "0 to 65535"),
        (["verify", "/nowhere", "sqlite:////nowhere"], "No such file"),
        (["verify", "/dev/null", "sqlite:////nowhere"], "names no run"),
        (["verify", __file__, "sqlite:////nowhere"], "is not an id"),
        (["test", "everything"], "not found: everything"),
        (["test", "everything"], "suites: all, quick"),
    ],
)
def test_bad_arguments_are_explained(arguments: list[str], words: str) -> None:
    ended = script(*arguments)
    assert ended.returncode != 0
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["a..b", ".a", "x" * 300, ".".join(["x" * 59] * 5)])
def test_verify_has_one_line_for_a_name_that_no_host_can_have(tmp_path: Path, host: str) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text("a-0 acked\n")
    ended = script("verify", ledger, f"cassandra://{host}/teracompra")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in ended.stderr


def test_verify_has_one_line_for_a_store_that_is_none(tmp_path: Path) -> None:
    ledger, store = tmp_path / "ledger", tmp_path / "events.db"
    ledger.write_text("a-0 acked\n")
    store.write_text("this is no database, whatever its name" * 100)
    ended = script("verify", ledger, f"sqlite:///{store}")
    assert ended.returncode == 2
    assert "file is not a database" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_demo_runs_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = script("demo", "--seconds", "1", "--port", "0")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@contextmanager
def demo_that_sends(kept: Path) -> Iterator[subprocess.Popen[str]]:
    """A long demo that keeps its files in `kept`, and has had an event acknowledged."""
    command: list[str | Path] = [SCRIPTS / "demo", "--seconds", "600", "--port", "0"]
    with subprocess.Popen(
        [*command, "--keep", kept], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        ledger = kept / "ledger"
        wait_for(lambda: ledger.exists() and " acked" in ledger.read_text(), "a burst", 60)
        yield demo


def test_a_signal_to_the_demo_alone_ends_it_in_order(tmp_path: Path) -> None:
    """As `kill -INT` has it, rather than a terminal."""
    kept = tmp_path / "kept"
    with demo_that_sends(kept) as demo:
        demo.send_signal(signal.SIGINT)
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, output
    assert not processes_with(str(kept))


def test_a_demo_whose_ledger_has_gone_says_so(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with demo_that_sends(kept) as demo:
        (kept / "ledger").unlink()
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "is no longer at its path" in said
    assert "Traceback" not in said
