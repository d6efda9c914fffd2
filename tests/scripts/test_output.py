"""What commands print, and nobody reads, or nothing can hold; and streams that were closed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scripts.test_old_pythons import NAMES
from tests.support.scripts import SCRIPTS, script
from tests.webhook.receiver.test_start import CLOSINGS
from tools.root import ROOT

READER_GONE = 141
COMMANDS: dict[str, list[str]] = {
    "capacity": [str(SCRIPTS / "capacity"), "--growth"],
    "binaries": [str(SCRIPTS / "binaries"), "list"],
    "tgibf": [sys.executable, "-m", "tgibf", "--help"],
    "a run of tgibf": [sys.executable, "-m", "tgibf", "--bursts=1", "--burst-size=1", "--quiet"],
}
HELP = {name: [sys.executable, str(ROOT / name), "--help"] for name in NAMES}


def run(command: Sequence[str], stdout: int) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; nobody listens where TGIBF sends."""
    environment = {**os.environ, "WEBHOOK": "http://127.0.0.1:1"}
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS.keys() | HELP.keys())
def test_a_reader_that_has_gone_is_no_error(name: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = run((COMMANDS | HELP)[name], write)
    finally:
        os.close(write)
    assert ended.returncode in {0, READER_GONE}
    assert ended.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line(name: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = run(COMMANDS[name], full.fileno())
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "No space left on device" in ended.stderr


@pytest.mark.parametrize("closing", CLOSINGS)
def test_closed_standard_streams_harm_nothing(closing: str) -> None:
    for name in ("capacity", "binaries", "a run of tgibf"):
        command = ["sh", "-c", f'exec "$@" {closing}', "sh", *COMMANDS[name]]
        ended = run(command, subprocess.PIPE)
        assert ended.returncode == (1 if "tgibf" in name else 0), ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("closing", ["2>&-", "0<&- 1>&- 2>&-"])
def test_words_on_a_closed_stderr_go_nowhere(closing: str) -> None:
    """They are not among the results."""
    verify = [str(SCRIPTS / "verify"), "/nowhere", "sqlite:///none"]
    ended = run(["sh", "-c", f'exec "$@" {closing}', "sh", *verify], subprocess.PIPE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "")


@pytest.mark.parametrize("closing", ["2>&-", "0<&- 1>&- 2>&-"])
def test_a_run_with_closed_standard_streams_is_as_any_other(closing: str, tmp_path: Path) -> None:
    kept, report = tmp_path / "kept", tmp_path / "report"
    demo = [str(SCRIPTS / "demo"), "--seconds=1", "--port=0", f"--keep={kept}"]
    load = [str(SCRIPTS / "loadtest"), "--seconds=2", "--rate=50", "--port=0"]
    for command in (demo, [*load, f"--report={report}"]):
        ended = run(["sh", "-c", f'exec "$@" {closing}', "sh", *command], subprocess.PIPE)
        assert ended.returncode == 0, ended.stdout
        assert "==>" not in ended.stdout
    verified = script("verify", kept / "ledger", f"sqlite:///{kept / 'events.db'}")
    assert verified.stdout.splitlines()[-1] == "valid", verified.stderr
    assert {path.name for path in report.iterdir()} >= {"index.html", "report.json"}
