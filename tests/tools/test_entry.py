"""What a parent may have left to a script: signals that are ignored or blocked, and settings."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.scripts import IGNORING_SIGCHLD, SCRIPTS, script
from tools.root import ROOT

BLOCKED = {signal.SIGINT, signal.SIGTERM}


def test_a_failure_is_one_where_sigchld_is_ignored() -> None:
    """It would make every child of Python one that has succeeded."""
    command = [*IGNORING_SIGCHLD, str(SCRIPTS / "test"), "everything"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 4, ended.stderr
    assert "not found: everything" in ended.stderr


@pytest.mark.parametrize("early", ["tgibf.early.begin", "webhook.early.prepare"])
def test_no_main_begins_with_sigchld_ignored(early: str) -> None:
    module, _, function = early.rpartition(".")
    code = f"import subprocess, {module} as early; early.{function}()\n"
    code += "raise SystemExit(subprocess.call('false'))"
    command = [*IGNORING_SIGCHLD, sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 1


@pytest.mark.parametrize("number", sorted(BLOCKED))
@pytest.mark.parametrize("module", ["webhook", "tgibf"])
def test_a_stop_that_was_blocked_is_heard(
    module: str, number: signal.Signals, tmp_path: Path
) -> None:
    ledger, store = tmp_path / "ledger", tmp_path / "events.db"
    commands: dict[str, Sequence[str]] = {
        "webhook": (),
        "tgibf": ("http://127.0.0.1:1", "--burst-size=1", "--pause=3600", f"--ledger={ledger}"),
    }
    environment = {**os.environ, "WEBHOOK_STORE": f"sqlite:///{store}"}
    environment["WEBHOOK_ADDRESS"] = "127.0.0.1:0"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *commands[module]],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        wait_for(lambda: (store if module == "webhook" else ledger).exists(), "its start", 20)
        process.send_signal(number)
        assert process.wait(15) in {0, 1, 128 + number}
    finally:
        process.kill()
        process.wait()


def test_a_safe_path_harms_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children with `-m` find ours in the working directory."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    ended = script("demo", "--seconds=1", "--port=0", "--keep", tmp_path / "kept")
    assert ended.returncode == 0, ended.stderr
