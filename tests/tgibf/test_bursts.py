"""Burst mode: sizes, concurrency, pauses and steps back."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tgibf.generator import COMMAND, tgibf
from tests.tgibf.peer import PROBLEM, Call, Peer, acknowledge, problem
from tgibf.bursts import next_burst


def bursts_of(err: str) -> list[tuple[int, int]]:
    """The number and the events of every finished burst, by the progress lines."""
    lines = re.findall(r"^burst (\d+): ([\d,]+) events in ", err, re.MULTILINE)
    return [(int(number), int(events.replace(",", ""))) for number, events in lines]


def test_bursts_grow_and_every_event_has_a_connection_of_its_own() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--burst-size=10", "--bursts=3", "--pause=0", "--json")

    assert run.code == 0
    assert bursts_of(run.err) == [(1, 10), (2, 20), (3, 30)]
    assert run.summary["bursts"] == 3
    assert run.summary["largest_burst"] == 30
    assert run.summary["sent"] == run.summary["acked"] == 60
    assert len(peer.calls) == peer.connections == 60
    assert all("Connection: close\r\n" in call.head for call in peer.calls)


def test_a_burst_is_in_flight_all_at_once() -> None:
    size = 500
    all_here = asyncio.Event()

    async def answer_once_all_are_here(call: Call) -> None:
        if call.number == size:
            all_here.set()
        await all_here.wait()
        await acknowledge(call)

    with Peer(answer_once_all_are_here) as peer:
        run = tgibf(peer.url, f"--burst-size={size}", "--bursts=1", "--json")

    assert run.code == 0
    assert run.summary["acked"] == size


def test_the_next_burst_comes_a_pause_after_the_last_answer() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--burst-size=5", "--bursts=2", "--pause=0.4")

    assert run.code == 0
    first, second = peer.calls[:5], peer.calls[5:]
    assert min(call.at for call in second) - max(call.at for call in first) >= 0.4


def test_a_failed_connection_steps_back_by_two() -> None:
    async def fail_once_in_burst_4(call: Call) -> None:
        if call.number == 1 + 2 + 3 + 2:
            call.reset()
        else:
            await acknowledge(call)

    with Peer(fail_once_in_burst_4) as peer:
        run = tgibf(peer.url, "--burst-size=1", "--bursts=6", "--pause=0", "--json")

    assert run.code == 1
    assert [number for number, _ in bursts_of(run.err)] == [1, 2, 3, 4, 2, 3]
    assert run.summary["failed_bursts"] == 1
    assert run.summary["errors"] == {"reset": 1}


def test_an_http_error_does_not_step_back() -> None:
    async def refuse(call: Call) -> None:
        await call.answer(503, problem("no"), PROBLEM)
        call.hang_up()

    with Peer(refuse) as peer:
        run = tgibf(peer.url, "--burst-size=2", "--bursts=3", "--pause=0", "--json")

    assert run.code == 1
    assert [number for number, _ in bursts_of(run.err)] == [1, 2, 3]
    assert run.summary["failed_bursts"] == 0
    assert run.summary["refused"] == 12


def test_seconds_end_the_pause_and_the_run() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--burst-size=3", "--seconds=0.3", "--pause=3600", "--json")

    assert run.code == 0
    assert run.summary["bursts"] == 1
    assert run.summary["sent"] == 3


def test_more_connections_than_files_are_held_back_with_a_warning() -> None:
    limited = ("sh", "-c", 'ulimit -n 80 && exec "$@"', "sh", *COMMAND)
    with Peer() as peer:
        run = tgibf(peer.url, "--burst-size=300", "--bursts=1", "--json", command=limited)

    assert run.code == 0
    assert run.summary["acked"] == 300
    assert len(run.summary["warnings"]) == 1
    assert "ulimit -n" in run.summary["warnings"][0]
    assert run.err.count("warning:") == 1


@given(st.integers(min_value=1, max_value=10**6), st.booleans())
def test_the_step(number: int, failed: bool) -> None:
    following = next_burst(number, failed=failed)

    assert following >= 1
    assert following == (max(number - 2, 1) if failed else number + 1)


@given(st.lists(st.booleans(), max_size=50))
def test_bursts_without_failures_come_back_to_where_they_were(failures: list[bool]) -> None:
    number = 1
    for failed in failures:
        number = next_burst(number, failed=failed)
    top = number
    for failed in (True, False, False):
        number = next_burst(number, failed=failed)

    assert number == max(top, 3)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_never_below_the_first_burst(number: int) -> None:
    assert next_burst(number, failed=True) == 1
