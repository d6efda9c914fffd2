"""Steady mode: the schedule, and latency that counts from it."""

import asyncio
import signal
from time import sleep

import pytest

from tests.tgibf.generator import finish, start, tgibf
from tests.tgibf.peer import Call, Peer, acknowledge


def test_the_rate_is_kept_at_even_intervals() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--rate=200", "--seconds=1", "--json")

    assert run.code == 0
    assert run.summary["mode"] == "steady"
    assert run.summary["sent"] == run.summary["acked"] == 200
    assert run.summary["bursts"] == 0
    assert run.summary["seconds"] > 0.9
    times = [call.at for call in peer.calls]
    halves = sum(at < times[0] + 0.5 for at in times)
    late = run.summary["behind_ms"] / 1000 * 200  # what the machine was too busy to send in time
    assert halves == pytest.approx(100, abs=50 + late)


def test_a_batch_counts_as_its_events() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--rate=1000", "--batch=100", "--seconds=0.5", "--json")

    assert run.summary["sent"] == run.summary["acked"] == 500
    assert [len(call.events) for call in peer.calls] == [100] * 5


def test_a_receiver_that_stalls_is_asked_on_and_its_stall_shows() -> None:
    """Latency has the whole stall, and the events due within it have their parts of it."""
    enough = asyncio.Event()

    async def stall_until_fifty_have_come(call: Call) -> None:
        if call.number == 50:
            enough.set()
        await enough.wait()
        await acknowledge(call)

    with Peer(stall_until_fifty_have_come) as peer:
        run = tgibf(peer.url, "--rate=100", "--seconds=0.8", "--json")

    assert run.code == 0
    assert len(peer.calls) == 80
    stall_ms = (peer.calls[49].at - peer.calls[0].at) * 1000  # some 490, longer on a busy machine
    assert run.summary["latency_ms"]["max"] >= stall_ms * 0.9
    assert run.summary["latency_ms"]["p50"] >= 80  # 50 of 80 had 0 to 490 ms to wait


def test_a_generator_that_falls_behind_says_so_and_counts_the_lag() -> None:
    """The generator itself is stopped for a while: the receiver answers at once throughout."""
    with Peer() as peer:
        process = start(peer.url, "--rate=100", "--seconds=2", "--json")
        peer.wait_for_calls(5)
        process.send_signal(signal.SIGSTOP)
        sleep(0.6)  # the length of the stop itself
        process.send_signal(signal.SIGCONT)
        run = finish(process)

    assert run.code == 0
    assert run.summary["acked"] == 200
    assert run.summary["behind_ms"] >= 400
    assert run.summary["latency_ms"]["max"] >= 400
    assert any("fell behind" in warning for warning in run.summary["warnings"])


def test_events_that_the_generator_never_got_to_are_reported() -> None:
    with Peer() as peer:
        process = start(peer.url, "--rate=100", "--seconds=0.5", "--json")
        peer.wait_for_calls(5)
        process.send_signal(signal.SIGSTOP)
        sleep(1.2)  # past the end, and past the time to catch up
        process.send_signal(signal.SIGCONT)
        run = finish(process)

    sent = run.summary["sent"]
    assert 5 <= sent < 50
    assert run.summary["acked"] == len(peer.calls) == sent
    assert f"{50 - sent} events of the schedule were never sent" in run.summary["warnings"]


def test_the_rate_changes_at_each_step() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--step=0:50,0.5:400,1:100", "--seconds=1.5", "--json")

    assert run.code == 0
    assert run.summary["mode"] == "steady"
    assert run.summary["acked"] == 25 + 200 + 50


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("120:600", "must be at 0"),
        ("0:100,0:200", "does not come after"),
        ("0:0", "a rate is"),
        ("0:nan", "a rate is"),
        ("0:100,inf:5", "a second is"),
        ("100", "is not SECOND:RATE"),
        ("", "is not SECOND:RATE"),
    ],
)
def test_a_wrong_step_is_told(text: str, told: str) -> None:
    run = tgibf("http://127.0.0.1:9", f"--step={text}")

    assert run.code == 2
    assert told in run.err


def test_a_rate_and_steps_exclude_each_other_and_bursts() -> None:
    assert tgibf("http://127.0.0.1:9", "--rate=5", "--step=0:5").code == 2
    run = tgibf("http://127.0.0.1:9", "--step=0:5", "--bursts=2")
    assert run.code == 2
    assert "not allowed with --rate or --step" in run.err
