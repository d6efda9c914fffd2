"""Start, refusal to start, drain, stop."""

import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import rows

EVENT = b'{"type": "call.new"}'
EXIT_START_FAILED = 3


def refusal(receiver: Receiver) -> str:
    """What a receiver that must not start says."""
    assert receiver.launch().wait() == EXIT_START_FAILED
    assert "could not start" in receiver.log
    assert "Traceback" not in receiver.log
    return receiver.log


@pytest.mark.parametrize(
    ("setting", "value", "hint"),
    [
        ("address", "8080", "host:port"),
        ("address", "localhost:99999", "host:port"),
        ("address", "a..b:8080", "host:port"),
        ("address", f"{'x' * 64}:8080", "host:port"),
        ("consul", "http://a..b:8500", "http://host:port"),
        ("paths", "events", "paths such as"),
        ("paths", "/events,/metrics", "paths such as"),
        ("paths", "", "paths such as"),
        ("window_seconds", "half an hour", "a whole number"),
        ("window_seconds", "0", "more than 0"),
        ("retention_seconds", "1800", "at least 2100"),
        ("retention_seconds", "1000000000", "at most"),
        ("answer_seconds", "31", "at most 30"),
        ("drain_seconds", "nan", "a finite number"),
        ("max_held_events", "999", "WEBHOOK_MAX_ARRAY_EVENTS"),
        ("store", "mysql://root@localhost/events", "sqlite:///"),
        ("store", "sqlite:///", "sqlite:///"),
        ("store", "sqlite:////nowhere/at/all/events.db", "create the folder"),
    ],
)
def test_a_bad_setting_stops_the_start(
    store_path: Path, setting: str, value: str, hint: str
) -> None:
    given: dict[str, Any] = {setting: value}
    receiver = Receiver(str(given.pop("store", f"sqlite:///{store_path}")), **given)
    said = refusal(receiver)
    assert f"WEBHOOK_{setting.upper()}" in said
    assert hint in said


def test_a_taken_port_stops_the_start(receiver: Receiver, tmp_path: Path) -> None:
    other = Receiver(tmp_path / "other.db", address=f"127.0.0.1:{receiver.port}")
    assert "choose another address" in refusal(other)


def test_a_misspelt_setting_is_pointed_out(store_path: Path) -> None:
    with Receiver(store_path, windw_seconds=5) as receiver:
        assert "did you mean WEBHOOK_WINDOW_SECONDS?" in receiver.log


def test_the_open_files_limit_is_raised_and_reported(store_path: Path) -> None:
    command = ("prlimit", "--nofile=256:512")
    with Receiver(store_path, command=command) as receiver:
        assert "open-files limit 512: up to 448 connections" in receiver.log
        assert receiver.metric("webhook_max_connections") == 448


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean(store_path: Path, number: signal.Signals) -> None:
    receiver = Receiver(store_path).start()
    receiver.post_many(10)
    receiver.process.send_signal(number)
    assert receiver.wait() == 0
    assert rows(store_path) == 10
    assert not store_path.with_name("events.db-wal").exists()


def test_while_draining_what_arrives_is_stored_and_answered_with_close(
    store_path: Path,
) -> None:
    """A kept-alive connection and new ones are served until the client has let go."""
    receiver = Receiver(store_path, drain_seconds=20).start()
    busy = threading.Event()
    refused: list[int] = []

    def keep_busy() -> None:
        while not busy.is_set():
            with RawConnection(receiver.port) as raw:
                raw.send(post(EVENT))
                answer = raw.answer()
                refused.extend([answer.status] * (answer.status != 200))

    with RawConnection(receiver.port) as kept, RawConnection(receiver.port) as holding:
        kept.send(post(EVENT))
        assert kept.answer().status == 200
        holding.send(post(EVENT)[:-1])  # a request under way keeps the drain open
        thread = threading.Thread(target=keep_busy)
        thread.start()
        receiver.terminate()
        wait_for(lambda: "draining" in receiver.log, "draining")
        assert receiver.get("/ready").status == 503
        assert receiver.get("/health").status == 200
        kept.send(post(EVENT))
        answer = kept.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert kept.at_end()
        busy.set()
        thread.join()
        holding.send(post(EVENT)[-1:])
        assert holding.answer().status == 200
    assert receiver.wait() == 0
    assert refused == []
    assert rows(store_path) >= 4


def test_while_draining_a_quiet_connection_is_not_closed_under_a_request(store_path: Path) -> None:
    """A request may be on its way: behind a balancer, over a slow network, from a busy client."""
    receiver = Receiver(store_path, drain_seconds=20).start()
    with RawConnection(receiver.port) as kept:
        kept.send(post(EVENT))
        assert kept.answer().status == 200
        receiver.terminate()
        wait_for(lambda: "draining" in receiver.log, "draining")
        assert kept.stays_open(3)
        kept.send(post(EVENT))
        answer = kept.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert kept.at_end()
    assert receiver.wait(10) == 0, "it waits for nobody any more"
    assert rows(store_path) == 2


def test_the_drain_is_bounded(store_path: Path) -> None:
    receiver = Receiver(store_path, drain_seconds=1).start()
    with RawConnection(receiver.port) as raw:
        raw.send(post(EVENT)[:-1])
        wait_for(lambda: receiver.metric("webhook_open_connections") == 2, "the connection")
        receiver.terminate()
        assert receiver.wait(10) == 0


def test_a_connection_is_closed_politely_after_its_age(store_path: Path) -> None:
    """With an answer, not in the middle of a request."""
    with Receiver(store_path, connection_age_seconds=1) as receiver:
        with RawConnection(receiver.port) as raw:
            began = time.monotonic()
            answers = 0
            while True:
                raw.send(post(EVENT))
                answer = raw.answer()
                assert answer.status == 200
                answers += 1
                if answer.headers.get("connection") == "close":
                    break
            assert raw.at_end()
        assert time.monotonic() - began >= 1
        assert answers == receiver.count()


def test_a_quiet_connection_past_its_age_is_not_closed_under_a_request(store_path: Path) -> None:
    with (
        Receiver(store_path, connection_age_seconds=1) as receiver,
        RawConnection(receiver.port) as raw,
    ):
        raw.send(post(EVENT))
        assert raw.answer().status == 200
        assert raw.stays_open(7)
        raw.send(post(EVENT))
        answer = raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert raw.at_end()


def test_an_idle_connection_is_closed_after_the_documented_time(store_path: Path) -> None:
    with Receiver(store_path, idle_seconds=2) as receiver, RawConnection(receiver.port) as raw:
        raw.send(post(EVENT))
        assert raw.answer().status == 200
        assert raw.stays_open(1.9)
        assert raw.at_end()


def test_an_ipv6_address(store_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with Receiver(store_path, address="[::1]:0") as receiver:
        assert receiver.post().status == 200
