"""Bursts, bounds, and a store that is too slow: refused, never dropped."""

import resource
import socket
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from select import select
from typing import Any

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import rows
from webhook.commit import GATHERING_TURNS

EVENT = b'{"type": "call.new"}'


def open_at_once(port: int, connections: int, stack: ExitStack) -> list[socket.socket]:
    """So many connections, begun without waiting for one another."""
    opened = []
    for _ in range(connections):
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        opened.append(sock)
    return opened


def answers(sockets: list[socket.socket]) -> list[bytes]:
    """Send an event on each, then read each one's status line."""
    for sock in sockets:
        sock.settimeout(30)
        sock.sendall(post(EVENT, "Connection: close"))
    return [sock.recv(1000).partition(b"\r\n")[0] for sock in sockets]


def test_ten_thousand_connections_at_once_are_all_answered(store_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10_500:
        pytest.skip(f"the hard limit of {hard} open files allows no 10,000 connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        # Opening them takes seconds on a busy machine, and meanwhile they say nothing.
        with Receiver(store_path, request_seconds=60) as receiver, ExitStack() as stack:
            sockets = open_at_once(receiver.port, 10_000, stack)
            wait_for(
                lambda: receiver.metric("webhook_open_connections") >= 10_000,
                "10,000 open connections",
                60,
            )
            assert set(answers(sockets)) == {b"HTTP/1.1 200 OK"}
            assert receiver.count() == rows(store_path) == 10_000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("bound", ["setting", "open files"])
def test_connections_past_the_limit_wait_in_the_backlog(store_path: Path, bound: str) -> None:
    """300 connections where 100 are allowed: the others are served as these close."""
    settings: dict[str, Any] = {"max_connections": 100} if bound == "setting" else {}
    command = ("prlimit", "--nofile=164:164") if bound == "open files" else ()
    with Receiver(store_path, command=command, **settings) as receiver, ExitStack() as stack:
        sockets = open_at_once(receiver.port, 300, stack)
        for sock in sockets:
            sock.settimeout(30)
        for sock in sockets:
            sock.sendall(post(EVENT, "Connection: close"))
        read = [sock.recv(1000).partition(b"\r\n")[0] for sock in sockets]
        assert set(read) == {b"HTTP/1.1 200 OK"}
        assert "can't accept" not in receiver.log
        assert receiver.count() == 300


def test_the_admission_limit_refuses_at_once_and_lets_its_rate_through(
    store_path: Path,
) -> None:
    with Receiver(store_path, max_events_per_second=100) as receiver:
        began = time.monotonic()
        with RawConnection(receiver.port) as raw:
            raw.send(post(EVENT) * 500)
            statuses = []
            for _ in range(500):
                answer = raw.answer()
                statuses.append(answer.status)
                if answer.status != 200:
                    assert answer.status == 503
                    assert answer.headers["retry-after"] == "1"
                    assert answer.json["stored"] == "no"
        elapsed = time.monotonic() - began
        accepted = statuses.count(200)
        assert 100 <= accepted <= 100 * (1 + elapsed) + 1
        assert rows(store_path) == accepted == receiver.count()
        over = receiver.metric('webhook_events_total{outcome="over_limit"}')
        assert over == 500 - accepted


def test_requests_that_do_not_end_are_bounded_together(store_path: Path) -> None:
    """Heads as well as bodies: past the bound who sends on is refused, and the rest are served."""
    with (
        Receiver(store_path, max_body_bytes=65_536, max_held_bytes=65_536) as receiver,
        ExitStack() as stack,
    ):
        slow = [stack.enter_context(RawConnection(receiver.port)) for _ in range(16)]
        for connection in slow:
            connection.send(b"POST /events HTTP/1.1\r\nHost: webhook\r\nX-Long: " + b"a" * 12_000)
        (first, *_), _, _ = select([one.socket for one in slow], [], [], 30)
        refused = next(one for one in slow if one.socket is first).answer()
        assert (refused.status, refused.json["stored"]) == (503, "no")
        assert "too many large requests" in refused.json["detail"]
        # Whoever was refused makes room at once, also for a head and a body that come one by one.
        with RawConnection(receiver.port) as raw:
            request = post(EVENT)
            raw.send(request[:-5])
            assert raw.stays_open(0.2)
            raw.send(request[-5:])
            assert raw.answer().status == 200


def test_a_store_that_hangs(store_path: Path) -> None:
    """Another program holds the file's write lock for a while.

    1. What is in flight when time is up: 503, unknown. What still waits: 503, not stored.
    2. Past the bound of what may be held: 503 at once.
    3. The lock is let go: all is well again, and the count is what is stored.

    SQLite gives up a write that has waited for 5 s. Time is up halfway: there is as much for what
    comes before as there is between that and the next write, which would take what waits.
    """
    with (
        Receiver(
            store_path, answer_seconds=2.5, max_held_events=1000, expect_errors=True
        ) as receiver,
        closing(sqlite3.connect(store_path, isolation_level=None)) as locker,
        ExitStack() as stack,
    ):
        locker.execute("BEGIN IMMEDIATE")
        connections = [stack.enter_context(RawConnection(receiver.port)) for _ in range(3)]
        connections[0].send(post(EVENT))
        wait_for(lambda: receiver.metric("webhook_held_events") == 1, "an event that is held")
        for _ in range(2 * GATHERING_TURNS):  # turns of the loop: then it is in flight
            assert receiver.get("/health").status == 200
        connections[1].send(post(EVENT))
        wait_for(lambda: receiver.metric("webhook_held_events") == 2, "another one waiting")

        connections[2].send(post(b"[" + b",".join([EVENT] * 999) + b"]"))
        too_many = connections[2].answer()
        assert (too_many.status, too_many.json["stored"]) == (503, "no")
        assert connections[0].stays_open(0), "refused at once: those before it still wait"

        in_flight, waiting = connections[0].answer(), connections[1].answer()
        assert (in_flight.status, in_flight.json["stored"]) == (503, "unknown")
        assert (waiting.status, waiting.json["stored"]) == (503, "no")
        assert receiver.get("/ready").status == 503
        assert in_flight.headers["retry-after"] == waiting.headers["retry-after"] == "1"

        locker.execute("ROLLBACK")
        wait_for(lambda: receiver.metric("webhook_held_events") == 0, "the write has ended")
        assert receiver.post().status == 200
        assert receiver.count() == rows(store_path)
        assert receiver.get("/ready").status == 200


def test_what_waits_is_written_together(receiver: Receiver, store_path: Path) -> None:
    """Group commit: 2,000 events in far fewer writes."""
    with RawConnection(receiver.port) as raw:
        raw.send(post(EVENT) * 2000)
        assert {raw.answer().status for _ in range(2000)} == {200}
    assert rows(store_path) == 2000
    assert receiver.metric("webhook_writes_total") < 500
