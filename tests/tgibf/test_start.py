"""The first moments of the load generator, its last ones, and what it may be started with."""

import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.scripts import script
from tests.tgibf.generator import COMMAND, Finished, environment, finish, start
from tests.tgibf.peer import Peer
from tests.webhook.receiver.test_start import CLOSINGS, PROCESS_ONE, child, hears
from tgibf.ledger import read_ledger

STOPS = (signal.SIGINT, signal.SIGTERM)
MOMENTS = [0.05 * n for n in range(9)]
ENDLESS = ("--burst-size=1", "--pause=3600", "--json")
# A look-up of a name that nobody answers: it returns when it is over, whatever signals come.
SILENT_NAMES = """
import ctypes, socket
from tgibf.early import begin, end_with
begin()
from tgibf.cli import main
socket.getaddrinfo = lambda *_, **__: print("asks", flush=True) or ctypes.CDLL(None).system(
    b"exec sleep 15"
)
end_with(main)
"""


def told(run: Finished, number: signal.Signals) -> bool:
    """Whether it has ended as it should: with a summary, or quietly before there was any."""
    assert "Traceback" not in run.err
    assert run.code in {0, 128 + number}, run
    if run.code == 0:
        assert run.summary["sent"] == run.summary["acked"]
    return run.code == 0


@pytest.mark.parametrize("number", STOPS)
def test_a_stop_in_the_first_moments_is_heard(number: signal.Signals) -> None:
    """At each of them, from its first lines on; by the last it sends."""
    with Peer() as peer:
        for seconds in MOMENTS:
            process = start(peer.url, *ENDLESS)
            wait_for(lambda: hears(process.pid, signal.SIGTERM), "its first lines", 20, 0.001)  # noqa: B023
            time.sleep(seconds)
            process.send_signal(number)
            told(finish(process), number)
        process = start(peer.url, *ENDLESS)
        peer.wait_for_calls(len(peer.calls) + 1)
        process.send_signal(number)
        assert told(finish(process), number)


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("seconds", MOMENTS[::4], ids=lambda seconds: f"{seconds:.2f} s")
def test_a_stop_is_heard_by_the_first_process_of_a_container(
    seconds: float, number: signal.Signals
) -> None:
    """To which the kernel does not deliver a signal that it has no handler for."""
    tried = subprocess.run([*PROCESS_ONE, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no process namespace here: {tried.stderr.decode().strip()}")
    with Peer() as peer, started([*PROCESS_ONE, *COMMAND, peer.url, *ENDLESS]) as unshare:
        pid = wait_for(lambda: child(unshare.pid), "the generator", 20)
        wait_for(lambda: hears(pid, signal.SIGTERM), "its first lines", 20, 0.001)
        time.sleep(seconds)
        os.kill(pid, number)
        told(finish(unshare), number)


def test_a_stop_is_heard_while_a_name_is_looked_up() -> None:
    with started([sys.executable, "-c", SILENT_NAMES, "http://silent.invalid"]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asks\n"
        process.terminate()
        assert process.wait(5) == 128 + signal.SIGTERM


def test_no_signal_costs_the_summary() -> None:
    """They come without a pause, from the first stop until it has ended."""
    with Peer() as peer:
        process = start(peer.url, *ENDLESS)
        peer.wait_for_calls(1)
        while process.poll() is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGTERM)
            time.sleep(0.0005)
        run = finish(process)
    assert "Traceback" not in run.err
    assert run.code in {0, 1}
    assert run.summary["sent"] == run.summary["acked"] + run.summary["unknown"]
    assert run.summary["errors"] in ({}, {"interrupted": 1})  # a second one ends what is in flight


@pytest.mark.parametrize("closing", CLOSINGS)
def test_closed_standard_streams_harm_nothing(
    store_path: Path, receiver: Receiver, tmp_path: Path, closing: str
) -> None:
    """No line of a log gets into the ledger, and what it names is what is stored."""
    ledger = tmp_path / "ledger"
    command = [*COMMAND, receiver.url, "--burst-size=40", "--bursts=2", "--pause=0"]
    command += [f"--ledger={ledger}"]
    with started(["sh", "-c", f'exec "$@" {closing}', "sh", *command]) as process:
        run = finish(process)
    assert run.code == 0, run.err
    assert ("sent" in run.out) == ("1>&-" not in closing)
    assert ("burst 2" in run.err) == ("2>&-" not in closing)
    contents = read_ledger(ledger)
    assert (len(contents.outcomes), contents.incomplete) == (120, frozenset())
    verified = script("verify", ledger, f"sqlite:///{store_path}")
    assert verified.stdout.splitlines()[-1] == "valid", verified.stderr


@pytest.mark.parametrize("where", ["2>/dev/full", "2</dev/null"])
def test_progress_that_cannot_be_shown_costs_no_run(where: str) -> None:
    with Peer() as peer:
        command = [*COMMAND, peer.url, "--burst-size=5", "--bursts=2", "--pause=0", "--json"]
        with started(["sh", "-c", f'exec "$@" {where}', "sh", *command]) as process:
            run = finish(process)
    assert run.code == 0
    assert run.summary["acked"] == 15


def test_a_run_whose_progress_nobody_reads_any_more_ends_in_order(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with Peer() as peer:
        command = [*COMMAND, peer.url, "--burst-size=1", "--pause=0.05", f"--ledger={ledger}"]
        with started(["sh", "-c", '"$@" 2>&1 >/dev/null | head -1', "sh", *command]) as process:
            run = finish(process)
    assert run.out.startswith("burst 1")
    wait_for(lambda: not read_ledger(ledger).incomplete, "the end of the run", 20)


@pytest.mark.parametrize("kind", ["pipe", "terminal", "held terminal"])
def test_progress_that_nobody_reads_costs_no_run(kind: str) -> None:
    """A pipe or a terminal that is full, or one that Ctrl-S holds; a stop is heard, too."""
    ours, theirs = os.pipe() if kind == "pipe" else pty.openpty()
    try:
        fill(theirs)
        if kind == "held terminal":
            read_all(ours)
            termios.tcflow(theirs, termios.TCOOFF)
        with Peer() as peer:
            command = [*COMMAND, peer.url, "--burst-size=5", "--pause=0.01", "--json"]
            with started(command, stderr=theirs) as process:
                peer.wait_for_calls(5 * (1 + 2 + 3))
                process.send_signal(signal.SIGTERM)
                run = Finished(
                    process.wait(20), process.stdout.read() if process.stdout else "", ""
                )
        assert run.code == 0
        assert run.summary["acked"] == run.summary["sent"] >= 30
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_summary_comes_out_whole_where_progress_was_dropped() -> None:
    """Both go to one pipe, which is full for a while, and then is read."""
    ours, theirs = os.pipe()
    fill(theirs)
    with Peer() as peer, os.fdopen(ours, "rb") as reader:
        command = [*COMMAND, peer.url, "--burst-size=5", "--bursts=3", "--pause=0", "--json"]
        with started(command, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            peer.wait_for_calls(5 * (1 + 2 + 3))
            told = reader.read().decode()
            assert process.wait(20) == 0
    assert Finished(0, told[told.index("{") :], "").summary["acked"] == 30


def test_too_few_files_are_one_line() -> None:
    command = [*COMMAND, "http://127.0.0.1:1", "--bursts=1"]
    with started(["sh", "-c", 'ulimit -n 12; exec "$@"', "sh", *command]) as process:
        run = finish(process)
    assert run.code == 2
    assert run.err == (
        "tgibf: only 12 files may be open, too few to begin with; allow more: ulimit -n 1024\n"
    )


@pytest.mark.parametrize("where", ["1>/dev/full", "1</dev/null", "1>/dev/full 2>/dev/full"])
def test_a_summary_that_cannot_be_printed_is_one_line(where: str) -> None:
    with Peer() as peer:
        command = [*COMMAND, peer.url, "--burst-size=1", "--bursts=1", "--quiet"]
        with started(["sh", "-c", f'exec "$@" {where}', "sh", *command]) as process:
            run = finish(process)
    assert run.code == 1
    assert run.err.count("the summary could not be printed") == ("2>" not in where)
    assert run.err.count("\n") == ("2>" not in where)


@contextmanager
def started(
    command: Sequence[str], stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Any command in the generator's place; whatever becomes of it, it ends with the `with`."""
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        command, env=environment(), stdin=nothing, stdout=stdout, stderr=stderr, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def fill(number: int) -> None:
    """Write to a pipe or a terminal until it takes no more."""
    os.set_blocking(number, False)
    with suppress(BlockingIOError):
        while True:
            os.write(number, b"." * 1000)
    with suppress(BlockingIOError):
        while True:
            os.write(number, b".")
    os.set_blocking(number, True)


def read_all(number: int) -> None:
    """Read what is there."""
    os.set_blocking(number, False)
    with suppress(BlockingIOError):
        while os.read(number, 65536):
            pass
    os.set_blocking(number, True)
