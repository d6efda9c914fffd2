"""The first moments of a receiver, and what it may be started with."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.http import request
from harness.waiting import wait_for
from tests.support.rows import rows
from tools.root import ROOT
from webhook.settings import PREFIX

COMMAND = [sys.executable, "-m", "webhook"]
CLOSINGS = [
    " ".join(one) for n in (1, 2, 3) for one in itertools.combinations(["0<&-", "1>&-", "2>&-"], n)
]
FIRST_MOMENTS = [0.05 * n for n in range(1, 15)]
PROCESS_ONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


Process = subprocess.Popen[bytes]


@contextmanager
def started(store: Path, command: Sequence[str], address: str = "127.0.0.1:0") -> Iterator[Process]:
    """A receiver of which nothing is awaited; whatever becomes of it, it ends with the `with`."""
    environment = {
        **os.environ,
        PREFIX + "STORE": f"sqlite:///{store}",
        PREFIX + "ADDRESS": address,
    }
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("seconds", FIRST_MOMENTS, ids=lambda seconds: f"{seconds:.2f} s")
def test_a_stop_in_the_first_moments_is_heard(store_path: Path, seconds: float) -> None:
    with started(store_path, COMMAND) as receiver:
        time.sleep(seconds)  # a moment of its start, whatever it does then
        receiver.terminate()
        _, said = receiver.communicate(timeout=20)
    # Before its first line of Python the kernel ends it.
    assert receiver.returncode in {0, -signal.SIGTERM}, said
    assert b"Traceback" not in said


@pytest.mark.parametrize("seconds", FIRST_MOMENTS[2::4], ids=lambda seconds: f"{seconds:.2f} s")
def test_a_stop_is_heard_by_the_first_process_of_a_container(
    store_path: Path, seconds: float
) -> None:
    """To which the kernel does not deliver a signal that it has no handler for."""
    tried = subprocess.run([*PROCESS_ONE, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no process namespace here: {tried.stderr.decode().strip()}")
    with started(store_path, [*PROCESS_ONE, *COMMAND]) as unshare:
        pid = wait_for(lambda: child(unshare.pid), "the receiver", 20)
        wait_for(lambda: hears(pid, signal.SIGTERM), "its first lines", 20, 0.001)
        assert "uvloop" not in Path(f"/proc/{pid}/maps").read_text(), "it hears late"
        time.sleep(seconds)
        os.kill(pid, signal.SIGTERM)
        _, said = unshare.communicate(timeout=20)
    assert unshare.returncode == 0, said


def child(pid: int) -> int:
    """The one child of a process, 0 as long as there is none."""
    return int((Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or ["0"])[0])


def hears(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize("streams", [*CLOSINGS, "2>/dev/full", "2</dev/null"])
def test_streams_that_are_closed_or_full_harm_nothing(
    store_path: Path, streams: str, free_address: str
) -> None:
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND]
    with started(store_path, command, free_address) as receiver:
        wait_for(lambda: is_ready(free_address), "ready", 30)
        for _ in range(3):
            url = f"http://{free_address}/events"
            assert request("POST", url, b'{"type": "call.new"}').status == 200
        receiver.terminate()
        receiver.communicate(timeout=30)
    assert receiver.returncode == 0
    assert rows(store_path) == 3


def is_ready(address: str) -> bool:
    try:
        return request("GET", f"http://{address}/ready").status == 200
    except OSError:
        return False


@pytest.fixture
def free_address() -> str:
    """An address on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(("module", "code"), [("webhook", 3), ("tgibf", 2)])
def test_a_python_without_the_packages_says_how_to_get_them(module: str, code: int) -> None:
    bare = [sys.executable, "-S", "-m", module]  # without site-packages
    ended = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stderr.startswith("error: this Python has no ")
    assert f"run scripts/demo once, then .venv/bin/python -m {module}" in ended.stderr
    assert "Traceback" not in ended.stderr
