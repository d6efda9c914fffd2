"""The command: usage errors, signals, the summary and the progress."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable

import pytest

from tests.tgibf.generator import COMMAND, Finished, environment, finish, start, tgibf
from tests.tgibf.peer import Call, Peer, acknowledge

URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "WEBHOOK"),
        (["ftp://x"], "http://HOST"),
        (["127.0.0.1:8080"], "http://HOST"),
        (["http://x:99999"], "http://HOST"),
        (["http://x:0"], "1 to 65535"),
        (["http://user:word@x/"], "http://HOST"),
        (["http://x/é"], "percent-encoded"),
        (["http://nowhere.invalid"], "cannot resolve"),
        (["http://a..b:8080/"], "no host can have the name"),
        ([f"http://{'x' * 64}/"], "no host can have the name"),
        ([f"http://{'x' * 300}/"], "no host can have the name"),
        (["http://.x/"], "no host can have the name"),
        ([f"http://{'.'.join(['x' * 59] * 5)}/"], "cannot resolve"),
        ([URL, "--batch=0"], "1 to 1000"),
        ([URL, "--batch=1001"], "1 to 1000"),
        ([URL, "--batch=x"], "1 to 1000"),
        ([URL, "--bursts=0"], "1 or more"),
        ([URL, "--burst-size=-1"], "1 or more"),
        ([URL, "--rate=0"], "0.001 to 1,000,000"),
        ([URL, "--rate=nan"], "0.001 to 1,000,000"),
        ([URL, "--timeout=0"], "0.1 to 120"),
        ([URL, "--pause=-1"], "0 to 3,600"),
        ([URL, "--seconds=0"], "0.001"),
        ([URL, "--seed=x"], "0 or more"),
        ([URL, "--rate=5", "--bursts=2"], "--bursts is for burst mode"),
        ([URL, "--rate=5", "--pause=2"], "--pause is for burst mode"),
        ([URL, "--append-ledger"], "--ledger FILE"),
        ([URL, "--ledger=/no/such/folder/ledger"], "No such file"),
        ([URL, "--unheard-of"], "--unheard-of"),
    ],
)
def test_wrong_usage_is_told_with_what_is_allowed(arguments: list[str], told: str) -> None:
    run = tgibf(*arguments)

    assert run.code == 2
    assert run.out == ""
    assert told in run.err.splitlines()[-1]


def test_wrong_urls_in_the_environment_are_traced_to_it() -> None:
    run = tgibf(WEBHOOK="http://ok ftp://x")

    assert run.code == 2
    assert "environment variable WEBHOOK: 'ftp://x'" in run.err


def test_help_has_every_option_and_examples() -> None:
    run = tgibf("--help")

    assert run.code == 0
    options = set(re.findall(r"--[a-z-]+", run.err + run.out))
    assert options >= {
        *("--burst-size", "--pause", "--bursts", "--rate", "--seconds", "--keep-alive"),
        *("--batch", "--timeout", "--seed", "--ledger", "--append-ledger", "--json", "--quiet"),
    }
    assert "examples:" in run.out
    assert "exit codes:" in run.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_what_is_in_flight_and_prints_the_summary(
    number: signal.Signals,
) -> None:
    """1. Events are in flight. 2. The signal comes. 3. They are answered. 4. Nothing new came."""
    released = asyncio.Event()

    async def hold(call: Call) -> None:
        await released.wait()
        await acknowledge(call)

    with Peer(hold) as peer:
        process = start(peer.url, "--burst-size=20", "--pause=0", "--json")
        peer.wait_for_calls(20)
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        peer.call_soon(released.set)
        run = finish(process)

    assert run.code == 0
    assert run.summary["sent"] == run.summary["acked"] == len(peer.calls) == 20


def test_a_signal_ends_a_pause() -> None:
    with Peer() as peer:
        process = start(peer.url, "--burst-size=1", "--pause=3600")
        peer.wait_for_calls(1)
        process.send_signal(signal.SIGINT)
        run = finish(process)

    assert run.code == 0
    assert re.search(r"^acked +1$", run.out, re.MULTILINE)


def test_the_json_summary() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--burst-size=50", "--bursts=1", "--json", "--quiet")

    assert run.err == ""
    summary = json.loads(run.out)
    latency = summary.pop("latency_ms")
    seconds = summary.pop("seconds")
    assert summary.pop("events_per_second") == pytest.approx(50 / seconds, rel=0.01)
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99_9"] <= latency["max"]
    assert summary == {
        "mode": "burst",
        "urls": [f"{peer.url}/events"],
        "sent": 50,
        "acked": 50,
        "refused": 0,
        "unknown": 0,
        "errors": {},
        "bursts": 1,
        "largest_burst": 50,
        "failed_bursts": 0,
        "behind_ms": 0,
        "warnings": [],
    }


def test_the_text_summary() -> None:
    async def acknowledge_the_first(call: Call) -> None:
        if call.number == 1:
            await acknowledge(call)
        else:
            call.reset()

    with Peer(acknowledge_the_first) as peer:
        run = tgibf(peer.url, "--burst-size=2", "--bursts=1")

    assert run.code == 1
    patterns = (
        r"sent +2 events in [\d.]+ s = [\d,]+ events/s",
        r"acked +1",
        r"refused +0",
        r"unknown +1",
        r"bursts +1 \(largest 2 events, 1 with failed connections\)",
        r"latency +p50 [\d.]+ ms  p99 [\d.]+ ms  p99.9 [\d.]+ ms  max [\d.]+ ms",
        r"error +1 reset",
    )
    for pattern, line in zip(patterns, run.out.splitlines(), strict=True):
        assert re.fullmatch(pattern, line)


def on_a_terminal(until: Callable[[str], bool], columns: int = 0) -> tuple[Finished, str]:
    """A burst of 5 that is answered when `until` holds for what the terminal has shown; that."""
    released = asyncio.Event()

    async def hold(call: Call) -> None:
        await released.wait()
        await acknowledge(call)

    ours, theirs = pty.openpty()
    fcntl.ioctl(
        theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0)
    )
    with Peer(hold) as peer, os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [*COMMAND, peer.url, "--burst-size=5", "--bursts=1"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        os.close(theirs)
        shown = ""
        while not until(shown):
            shown += screen.read(4096).decode()
        peer.call_soon(released.set)
        return finish(process), shown


def test_on_a_terminal_the_line_keeps_to_the_width() -> None:
    """A longer one would be broken in two, and only the second redrawn."""
    columns = 60
    run, shown = on_a_terminal(lambda shown: shown.count("\r\x1b[K") >= 3, columns)
    assert run.code == 0
    lines = shown.split("\r\x1b[K")[1:-1]
    assert lines[0].startswith("burst 1: 5 events | 0 s | sent 5")
    assert max(map(len, lines)) == columns - 1


def test_on_a_terminal_one_line_is_redrawn() -> None:
    run, shown = on_a_terminal(lambda shown: shown.count("in flight 5") >= 2)
    assert run.code == 0
    state = "burst 1: 5 events | 0 s | sent 5 | acked 0 | refused 0 | unknown 0 | 0 events/s"
    assert shown.count(f"\r\x1b[K{state} | in flight 5") >= 2
    assert "\n" not in shown
