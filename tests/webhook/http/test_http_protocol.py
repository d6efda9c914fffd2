"""HTTP/1.x as clients really speak it, byte by byte over raw sockets."""

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import bodies, rows

EVENT = b'{"type": "call.new"}'
LINGER_NONE = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 s; close sends a reset


@pytest.fixture
def brisk(store_path: Path) -> Iterator[Receiver]:
    """A receiver with short times and small limits."""
    with Receiver(
        store_path,
        request_seconds=1,
        idle_seconds=1,
        max_body_bytes=10_000,
        max_header_bytes=2_000,
    ) as running:
        yield running


def test_keep_alive_serves_many_requests_on_one_connection(connection: RawConnection) -> None:
    for _ in range(10):
        connection.send(post(EVENT))
        answer = connection.answer()
        assert answer.status == 200
        assert answer.json == {"accepted": 1}
        assert "connection" not in answer.headers


def test_pipelined_requests_are_answered_in_order(connection: RawConnection) -> None:
    """A mix of stored events, arrays, errors and pages: each answer in its request's place."""
    get = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
    connection.send(
        post(EVENT) + get + post(b"[" + EVENT + b"," + EVENT + b"]") + post(b"no json") + get
        + post(EVENT)
    )  # fmt: skip
    answers = [connection.answer() for _ in range(6)]
    assert [answer.status for answer in answers] == [200, 200, 200, 400, 200, 200]
    assert answers[1].json == {"status": "alive"}
    assert answers[2].json == {"accepted": 2}


def test_a_thousand_pipelined_requests_are_all_answered(connection: RawConnection) -> None:
    connection.send(post(EVENT) * 1000)
    assert [connection.answer().status for _ in range(1000)] == [200] * 1000


def test_connection_close_is_honoured_and_the_server_closes_first(
    connection: RawConnection,
) -> None:
    connection.send(post(EVENT, "Connection: close"))
    answer = connection.answer()
    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert connection.at_end()


def test_what_follows_a_request_with_connection_close_is_ignored(shared: Receiver) -> None:
    stored = shared.metric('webhook_events_total{outcome="stored"}')
    with RawConnection(shared.port) as raw:
        raw.send(post(EVENT, "Connection: close") + post(EVENT))
        assert raw.answer().status == 200
        assert raw.at_end()
    assert shared.metric('webhook_events_total{outcome="stored"}') == stored + 1


def test_expect_100_continue(connection: RawConnection) -> None:
    head, _, body = post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert connection.answer().status == 100
    connection.send(body)
    assert connection.answer().status == 200


def test_expect_100_continue_after_a_pipelined_request_keeps_the_order(
    connection: RawConnection,
) -> None:
    head, _, body = post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")
    connection.send(post(EVENT) + head + b"\r\n\r\n")
    assert [connection.answer().status for _ in range(2)] == [200, 100]
    connection.send(body)
    assert connection.answer().status == 200


def test_a_body_too_large_is_refused_before_it_is_sent(shared: Receiver) -> None:
    with RawConnection(shared.port) as raw:
        raw.send(
            b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: 2000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        answer = raw.answer()
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
        assert raw.at_end()


def test_a_chunked_body(connection: RawConnection) -> None:
    connection.send(
        b"POST /events HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'8\r\n{"type":\r\nc\r\n "call.new"}\r\n0\r\n\r\n'
    )
    assert connection.answer().status == 200
    connection.send(post(EVENT))
    assert connection.answer().status == 200


def test_a_chunked_body_too_large(brisk: Receiver) -> None:
    with RawConnection(brisk.port) as raw:
        raw.send(b"POST /events HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.send(b"2000\r\n" + b" " * 0x2000 + b"\r\n" + b"2000\r\n" + b" " * 0x2000 + b"\r\n")
        assert raw.answer().status == 413


def test_http_1_0_closes_unless_asked_to_keep_alive(shared: Receiver) -> None:
    with RawConnection(shared.port) as raw:
        raw.send(post(EVENT, version="1.0"))
        assert raw.answer().status == 200
        assert raw.at_end()
    with RawConnection(shared.port) as raw:
        for _ in range(2):
            raw.send(post(EVENT, "Connection: keep-alive", version="1.0"))
            answer = raw.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


def test_a_request_byte_by_byte(connection: RawConnection) -> None:
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in post(EVENT):
        connection.send(bytes([byte]))
    assert connection.answer().status == 200


def test_a_half_closed_client_gets_its_answers(connection: RawConnection) -> None:
    connection.send(post(EVENT) * 3)
    connection.socket.shutdown(socket.SHUT_WR)
    assert [connection.answer().status for _ in range(3)] == [200] * 3
    assert connection.at_end()


def test_a_client_that_leaves_in_the_middle_of_a_request_stores_nothing(
    brisk: Receiver, store_path: Path
) -> None:
    with RawConnection(brisk.port) as raw:
        raw.send(post(EVENT)[:-3])
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.at_end()
    assert brisk.post().status == 200
    assert rows(store_path) == 1


def test_a_client_that_resets_after_sending_harms_nobody(brisk: Receiver, store_path: Path) -> None:
    for _ in range(20):
        with RawConnection(brisk.port) as raw:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            raw.send(post(EVENT))
    assert brisk.post().status == 200
    assert brisk.count() == rows(store_path)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"POST /events HTTP/9.9\r\nHost: test\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: many\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: test\r\nbad header\r\n\r\n",
        b"POST /events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /events HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /health HTTP/1.1\r\n\r\n",
        # Request smuggling:
        post(b"0\r\n\r\n", "Transfer-Encoding: chunked"),
    ],
)
def test_a_malformed_request_is_told_so_and_closed(shared: Receiver, request_bytes: bytes) -> None:
    with RawConnection(shared.port) as raw:
        raw.send(request_bytes)
        answer = raw.answer()
        assert answer.status == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        assert answer.json["detail"]
        assert raw.at_end()


def test_a_malformed_request_after_good_ones_takes_nothing_from_them(
    connection: RawConnection,
) -> None:
    connection.send(post(EVENT) * 2 + b"garbage\r\n\r\n")
    assert [connection.answer().status for _ in range(3)] == [200, 200, 400]


def test_the_absolute_form_of_a_target(connection: RawConnection) -> None:
    connection.send(post(EVENT, path="http://test/events"))
    assert connection.answer().status == 200


def test_a_query_is_ignored(connection: RawConnection) -> None:
    connection.send(post(EVENT, path="/events?source=teravoz"))
    assert connection.answer().status == 200


def test_an_upgrade_is_not_taken(connection: RawConnection) -> None:
    connection.send(
        b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert connection.answer().status == 200


def test_head_has_no_body(connection: RawConnection) -> None:
    connection.send(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
    line = connection.socket.recv(100_000)
    assert line.startswith(b"HTTP/1.1 200 OK")
    assert line.endswith(b"\r\n\r\n")


def test_headers_too_large_at_once_and_in_pieces(brisk: Receiver) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 3_000
    with RawConnection(brisk.port) as raw:
        raw.send(head + b"\r\n\r\n")
        assert raw.answer().status == 431
    with RawConnection(brisk.port) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(head), 100):
            raw.send(head[start : start + 100])
            time.sleep(0.001)  # in pieces, not in one
        assert raw.answer().status == 431


def test_a_request_that_takes_too_long(brisk: Receiver) -> None:
    with RawConnection(brisk.port) as raw:
        raw.send(post(EVENT)[:-3])
        answer = raw.answer()
        assert answer.status == 408
        assert raw.at_end()


def test_an_idle_connection_is_closed(brisk: Receiver) -> None:
    with RawConnection(brisk.port) as raw:
        assert raw.at_end()


def test_a_client_that_does_not_read_is_dropped_and_bounded(brisk: Receiver) -> None:
    """Answers that nobody reads stop the taking of requests: memory does not grow."""
    with RawConnection(brisk.port) as raw:
        raw.socket.settimeout(0.5)
        requests = b"GET /page/page.js HTTP/1.1\r\nHost: test\r\n\r\n" * 100
        with suppress(OSError):  # the buffers are full, or it is dropped already
            for _ in range(1_000):
                raw.send(requests)
        began = time.monotonic()
        assert brisk.get("/health").status == 200  # others are served meanwhile
        assert time.monotonic() - began < 10
        wait_for(lambda: brisk.metric("webhook_open_connections") == 1, "it is dropped", 30)
    assert brisk.metric("process_resident_memory_bytes") < 100 << 20


def test_answers_wait_for_a_slow_reader(brisk: Receiver) -> None:
    """Some megabytes of answers, read late and slowly, are all there and in order."""
    requests = 300
    with RawConnection(brisk.port) as raw:
        raw.send(b"GET /page/page.js HTTP/1.1\r\nHost: test\r\n\r\n" * requests)
        sizes = set()
        for _ in range(requests):
            answer = raw.answer()
            assert answer.status == 200
            sizes.add(len(answer.body))
            time.sleep(0.001)  # a slow reader, not an absent one
        assert len(sizes) == 1


def test_an_offer_to_upgrade_is_passed_over(connection: RawConnection) -> None:
    """As `curl --http2` and Java's HttpClient make it with a POST; the connection serves on."""
    for _ in range(2):
        connection.send(
            post(
                EVENT, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAM"
            )
        )
        answer = connection.answer()
        assert (answer.status, answer.json) == (200, {"accepted": 1})
    connection.send(post(EVENT, "Connection: Upgrade", "Upgrade: h2c") + post(EVENT))
    assert [connection.answer().status for _ in range(2)] == [200, 200]


def test_connect_is_refused(shared: Receiver) -> None:
    with RawConnection(shared.port) as raw:
        raw.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        assert raw.answer().status == 501
        assert raw.at_end()


def test_trailers_are_passed_over_and_bounded(brisk: Receiver) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%b\r\n0\r\n" % (len(EVENT), EVENT)
    with RawConnection(brisk.port) as raw:
        raw.send(head + body + b"Checksum: 5\r\n\r\n")
        assert raw.answer().status == 200
    with RawConnection(brisk.port) as raw:
        raw.send(head + body + b"a: b\r\n" * 2_000)
        assert raw.answer().status == 431


@pytest.mark.parametrize("ending", ["age", "drain"])
def test_after_a_closing_answer_nothing_is_stored_unanswered(store_path: Path, ending: str) -> None:
    """An error closes the connection; events behind it in the same packet are not taken."""
    with Receiver(store_path, connection_age_seconds=0.001 if ending == "age" else 60) as receiver:
        with RawConnection(receiver.port) as raw, RawConnection(receiver.port) as other:
            raw.send(post(EVENT)[:-1])
            other.send(post(EVENT)[:-1])
            wait_for(lambda: receiver.metric("webhook_open_connections") >= 3, "both are open")
            if ending == "drain":
                receiver.terminate()
                wait_for(lambda: "draining" in receiver.log, "draining")
            raw.send(post(EVENT)[-1:] + post(b"{}") + post(EVENT) * 3)
            statuses = []
            with suppress(EOFError):
                while True:
                    statuses.append(raw.answer().status)
            other.send(post(EVENT)[-1:])
            assert other.answer().status == 200
        assert statuses[0] == 200
        answered = statuses.count(200) + 1
    assert rows(store_path) == answered


def posts_are(receiver: Receiver, number: int) -> bool:
    return receiver.metric("webhook_posts_total") == number


def test_an_error_behind_a_write_in_flight_harms_no_later_request(store_path: Path) -> None:
    """Valid, invalid, valid, each sent by itself while the first is being written."""
    with (
        Receiver(store_path, connection_age_seconds=0.001, answer_seconds=5) as receiver,
        closing(sqlite3.connect(store_path, isolation_level=None)) as locker,
    ):
        locker.execute("BEGIN IMMEDIATE")
        with RawConnection(receiver.port) as raw:
            raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.send(post(EVENT))
            wait_for(lambda: receiver.metric("webhook_held_events") == 1, "a write in flight")
            for number, body in enumerate((b"{}", EVENT), start=2):
                raw.send(post(body))
                with suppress(TimeoutError):  # the last one may rightly be passed over
                    wait_for(partial(posts_are, receiver, number), "taken", 0.5)
            locker.execute("ROLLBACK")
            statuses = [raw.answer().status]
            with suppress(EOFError):
                while True:
                    statuses.append(raw.answer().status)
        assert statuses[:2] == [200, 422]
        assert receiver.post().status == 200
        assert rows(store_path) == statuses.count(200) + 1


def test_answers_that_nobody_takes_leave_no_trace(store_path: Path) -> None:
    """Clients that leave with a request half sent and answers unread: nothing is held for them."""
    with Receiver(store_path, max_held_bytes=1 << 20) as receiver:
        for _ in range(60):
            with RawConnection(receiver.port) as raw:
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
                raw.send(post(b"{}") * 5 + post(b" " * 200_000 + EVENT)[:60_000])
        with RawConnection(receiver.port) as raw:
            raw.send(post(b" " * 500_000 + EVENT))
            assert raw.answer().status == 200


def test_bodies_are_kept_verbatim(brisk: Receiver, store_path: Path) -> None:
    texts = [
        '{"type":"a","x": 1.0,  "y":"\\u00e9\\ud83d\\ude00 é😀 \\"\\\\","type2":null}',
        ' {\n "type" : "call.new" , "deep":[[{"a":[]}]] } ',
        '{"type":"unknown.type","big":123456789012345678901234567890}',
    ]
    with RawConnection(brisk.port) as raw:
        for text in texts:
            raw.send(post(text.encode()))
            assert raw.answer().status == 200
        raw.send(post(("[" + texts[0] + ",\n" + texts[2] + "]").encode()))
        assert raw.answer().json == {"accepted": 2}
    assert bodies(store_path) == [*texts, texts[0], texts[2]]
    assert [json.loads(body)["type"] for body in bodies(store_path)][2] == "unknown.type"
