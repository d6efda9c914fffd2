"""What other senders and other people do, within the protocol and beside it."""

import os
import select
import signal
import socket
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from harness.certificates import make
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import rows
from tests.webhook.http.test_tls import Secure, needs_openssl, secure
from tests.webhook.receiver.test_access import SENDING, signed, write

EVENT = b'{"type": "call.new"}'
RESET = struct.pack("ii", 1, 0)


@pytest.mark.parametrize("header", ["User-Agent: probe ", "X-Empty: \t", "Accept: */*\t "])
def test_blanks_at_a_value_s_end_are_no_part_of_it(connection: RawConnection, header: str) -> None:
    connection.send(f"GET /ready HTTP/1.1\r\nHost: test \r\n{header}\r\n\r\n".encode())
    assert connection.answer().status == 200


def test_a_sender_that_waits_for_100_may_end_its_line_with_a_blank(
    connection: RawConnection,
) -> None:
    connection.send(post(EVENT, "Expect: 100-continue \t").removesuffix(EVENT))
    assert connection.answer().status == 100
    connection.send(EVENT)
    assert connection.answer().status == 200


@pytest.mark.parametrize("file", ["%00", "page.js%00", "%2e%2e/app.py", ""])
def test_there_are_no_other_files_than_the_page_s(connection: RawConnection, file: str) -> None:
    connection.send(f"GET /page/{file} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    assert connection.answer().status == 404


def test_after_an_answer_that_has_a_body_none_follows_on_the_connection(
    shared: Receiver, connection: RawConnection
) -> None:
    before = refused(shared)
    connection.send(b"HEAD /health HTTP/1.1\r\nHost: a b\r\n\r\n" + post(EVENT))
    answer = connection.answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert connection.at_end()
    assert refused(shared) == before + 1


def refused(receiver: Receiver) -> float:
    try:
        return receiver.metric('webhook_refused_requests_total{status="400"}')
    except KeyError:  # none yet
        return 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /events HTTP/2.0\r\nHost: test\r\nContent-Length: 0\r\n\r\n", 505),
    ],
    ids=["chunks in HTTP/1.0", "HTTP/2.0"],
)
def test_what_another_hop_could_understand_otherwise_is_refused(
    connection: RawConnection, request_: bytes, status: int
) -> None:
    connection.send(request_)
    assert connection.answer().status == status
    assert connection.at_end()


def test_an_empty_coding_is_none(connection: RawConnection) -> None:
    connection.send(post(EVENT, "Content-Encoding: "))
    assert connection.answer().status == 200


def test_a_refusal_waits_for_who_is_still_sending(store_path: Path, tmp_path: Path) -> None:
    """A megabyte that takes longer than the wait of 2 s after an answer."""
    keys = write(tmp_path / "keys", SENDING)
    with Receiver(store_path, keys=keys) as receiver, RawConnection(receiver.port) as raw:
        body, pieces = b" " * 1_000_000, 12
        raw.send(post(body).removesuffix(body))
        for _ in range(pieces):
            select.select([], [], [], 3.0 / pieces)  # the pace of its line
            raw.send(body[: len(body) // pieces])
        assert raw.answer().status == 401


def test_a_reset_that_comes_with_data_is_noticed(shared: Receiver) -> None:
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", shared.port)) as leaving:
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            leaving.sendall(post(b" " * 200_000)[:100_000])
    wait_for(lambda: shared.metric("webhook_receiving_bytes") == 0, "nothing held", 5)
    wait_for(lambda: shared.metric("webhook_open_connections") == 1, "no client left", 5)


def test_the_end_of_a_terminal_is_a_stop(store_path: Path) -> None:
    receiver = Receiver(store_path).start()
    assert receiver.post().status == 200
    os.kill(receiver.pid, signal.SIGHUP)
    assert receiver.wait() == 0
    assert "draining" in receiver.log


@pytest.mark.parametrize("setting", ["store", "keys"])
def test_a_pipe_in_a_file_s_place_is_refused(
    store_path: Path, tmp_path: Path, setting: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    receiver = Receiver(pipe) if setting == "store" else Receiver(store_path, keys=pipe)
    receiver.launch()
    assert receiver.wait(10) == 3
    assert "no ordinary file" in receiver.log


def test_an_id_whose_first_write_is_late_is_not_stored_twice(
    store_path: Path, tmp_path: Path
) -> None:
    keys = write(tmp_path / "keys", SENDING)
    with Receiver(store_path, keys=keys, answer_seconds=1, expect_errors=True) as receiver:

        def sent() -> tuple[int, str]:
            with RawConnection(receiver.port) as raw:
                raw.send(post(EVENT, *signed("late")))
                answer = raw.answer()
                return answer.status, str(answer.json.get("stored", ""))

        with closing(sqlite3.connect(store_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert sent() == (503, "unknown")
            assert sent() == (503, "unknown"), "it may yet be stored"
            other.execute("ROLLBACK")
        wait_for(lambda: rows(store_path) == 1, "the first write", 10)
        wait_for(lambda: sent() == (200, ""), "the answer that there was", 10)
        assert rows(store_path) == 1


@needs_openssl
def test_over_tls_a_half_closed_client_gets_its_answer(store_path: Path, tmp_path: Path) -> None:
    """Without TLS's own goodbye: it has shut down the socket below."""
    files = make(tmp_path)
    with secure(store_path, files) as receiver, Secure(receiver, files.client()) as raw:
        raw.send(post(EVENT))
        socket.socket.shutdown(raw.socket, socket.SHUT_WR)
        assert raw.answer().status == 200
