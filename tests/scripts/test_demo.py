"""scripts/demo where it can't go on: one line says why. And what is left of it by a kill."""

import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.processes import processes_with
from harness.waiting import wait_for, wait_until_none
from tests.support.scripts import SCRIPTS
from tools.guarded import told_by_a_death

UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def demo(*options: str | Path, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """One of a second, to its end."""
    command = [*before, SCRIPTS / "demo", "--seconds=1", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def sending(kept: Path) -> Iterator[subprocess.Popen[str]]:
    """One that has sent its first events."""
    with subprocess.Popen(
        [SCRIPTS / "demo", "--seconds=4", "--port=0", "--keep", kept],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            ledger = kept / "ledger"
            wait_for(lambda: ledger.exists() and " acked" in ledger.read_text(), "a burst", 60)
            yield process
        finally:
            process.kill()


def child_with(word: str, process: subprocess.Popen[str]) -> int:
    """The child of a process that has this word in its command line."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (found,) = (pid for pid in children if word in Path(f"/proc/{pid}/cmdline").read_text())
    return int(found)


def error_of(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line that it ends with."""
    assert ended.returncode == 1, ended.stdout
    assert "Traceback" not in ended.stderr
    _, _, error = ended.stderr.rpartition("error: ")
    assert error.count("\n") == 1
    return error


def test_two_at_once_share_no_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free_port = listening.getsockname()[1]
    commands: list[list[str | Path]] = [
        [SCRIPTS / "demo", "--seconds=1", f"--port={free_port}", "--keep", tmp_path / name]
        for name in ("one", "two")
    ]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(one, stdout=pipe, stderr=pipe, text=True) for one in commands]
    said = [one.communicate(timeout=120)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum(f"port {free_port} is taken; using another one" in one for one in said) == 1


def test_a_port_that_is_not_for_everybody_is_named() -> None:
    if int(UNPRIVILEGED.read_text()) <= 1:
        pytest.skip("here it is for everybody")
    without = ("setpriv", "--bounding-set=-net_bind_service")
    error = error_of(demo("--port=1", before=without))
    assert "127.0.0.1:1: Permission denied" in error


def test_a_full_disk_is_named_in_the_receivers_words() -> None:
    error = error_of(demo("--port=0", before=("prlimit", "--fsize=20000", "--")))
    assert error.startswith("the receiver did not start: ")
    assert "disk I/O error" in error


def test_no_room_for_a_temporary_folder_is_one_line() -> None:
    error = error_of(demo("--port=0", before=("prlimit", "--fsize=0", "--")))
    assert "No usable temporary directory" in error
    assert "TMPDIR" in error


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_receiver_that_ends_too_early_is_named(number: signal.Signals, tmp_path: Path) -> None:
    with sending(tmp_path / "kept") as process:
        subprocess.run(["kill", f"-{number}", str(child_with("webhook", process))], check=True)
        out, err = process.communicate(timeout=60)
    error = error_of(subprocess.CompletedProcess([], process.returncode, out, err))
    end = "was ended by SIGKILL" if number == signal.SIGKILL else "ended with 0"
    assert error.startswith(f"the receiver {end}; its last line was: INFO webhook.server: ")


def test_a_load_generator_that_is_killed_is_named(tmp_path: Path) -> None:
    with sending(tmp_path / "kept") as process:
        subprocess.run(["kill", "-KILL", str(child_with("tgibf", process))], check=True)
        out, err = process.communicate(timeout=60)
    error = error_of(subprocess.CompletedProcess([], process.returncode, out, err))
    assert error == "the load generator was ended by SIGKILL\n"


def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    if not told_by_a_death():
        pytest.skip("this setpriv can't tell of a death")
    with sending(tmp_path / "kept") as process:
        receiver = Path(f"/proc/{child_with('webhook', process)}")
        process.kill()
        wait_until_none(lambda: processes_with(str(tmp_path)), "its load generator", 30)
        wait_until_none(lambda: [receiver] if receiver.exists() else [], "its receiver", 30)
