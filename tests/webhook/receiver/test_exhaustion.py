"""What costs an attacker little, beside an honest client that is to be answered within a second.

And the receiver's memory stays within a bound that the settings give.
"""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.webhook.receiver.test_pressure import EVENT, open_at_once

PROMPT_SECONDS = 1.0
MOST = 500
MIB = 1 << 20
OF_A_CONNECTION = 64 << 10
HALF_SENT = [b"", b"P", post(EVENT)[:-1], b"GET /health HTTP/1.1\r\nX: "]


def memory(receiver: Receiver) -> float:
    """The most that it has had, in bytes."""
    status = Path(f"/proc/{receiver.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def is_prompt(receiver: Receiver, request: bytes, cut: int = -1) -> bool:
    """Whether a request, cut into two reads, is answered with 200 in time."""
    began = time.monotonic()
    with RawConnection(receiver.port, 5 * PROMPT_SECONDS) as raw:
        raw.send(request[:cut])
        time.sleep(0.02)
        raw.send(request[cut:])
        assert raw.answer().status == 200
    return time.monotonic() - began < PROMPT_SECONDS


@pytest.mark.parametrize("sent", HALF_SENT)
def test_idle_connections_shut_nobody_out(store_path: Path, sent: bytes) -> None:
    with Receiver(store_path, max_connections=MOST) as receiver:
        before = memory(receiver)
        with ExitStack() as stack:
            for sock in open_at_once(receiver.port, MOST, stack):
                sock.settimeout(5)
                sock.sendall(sent)
            time.sleep(PROMPT_SECONDS)
            for _ in range(10):
                assert is_prompt(receiver, post(EVENT))
            assert receiver.metric("webhook_open_connections") == MOST
            assert receiver.metric('webhook_gave_way_total{limit="connections"}') > 0
            assert receiver.log.count("connections are open, which is as many as may be") == 1
        assert memory(receiver) - before < 2 * MOST * OF_A_CONNECTION
        assert receiver.count() == 10


def test_a_connection_that_asks_nothing_ends_with_the_time_of_a_request(store_path: Path) -> None:
    with Receiver(store_path, request_seconds=1) as receiver, ExitStack() as stack:
        open_at_once(receiver.port, 50, stack)
        wait_for(lambda: receiver.metric("webhook_open_connections") >= 50, "all are open")
        wait_for(lambda: receiver.metric("webhook_open_connections") == 1, "none is left", 5)


def test_half_sent_bodies_shut_nobody_out(store_path: Path) -> None:
    body = b'{"type": "' + b"a" * (MIB - 100) + b'"}'
    with Receiver(store_path, max_held_bytes=16 * MIB) as receiver, ExitStack() as stack:
        before = memory(receiver)
        for _ in range(16):
            stack.enter_context(RawConnection(receiver.port)).send(post(body)[:-1])
        wait_for(lambda: receiver.metric("webhook_receiving_bytes") > 15 * MIB, "all is held")
        time.sleep(PROMPT_SECONDS)
        for _ in range(10):
            assert is_prompt(receiver, post(body), MIB // 2)
            assert is_prompt(receiver, post(EVENT))
        assert receiver.metric('webhook_gave_way_total{limit="bytes"}') > 0
        assert "those that lag, then new ones, are refused" in receiver.log
        assert memory(receiver) - before < 3 * 16 * MIB


def test_a_flood_of_headers_costs_little(store_path: Path) -> None:
    """As much as would fit into a head, again and again on new connections."""
    flood = b"GET /health HTTP/1.1\r\nHost: test\r\n" + b"a:\r\n" * 4000 + b"\r\n"
    with Receiver(store_path) as receiver:
        before = receiver.metric("process_cpu_seconds_total")
        for _ in range(100):
            with RawConnection(receiver.port) as raw:
                raw.send(flood)
                assert raw.answer().status == 431
        spent = receiver.metric("process_cpu_seconds_total") - before
        assert spent < 0.15, "1.5 ms each; it is 0.1, and was 3.6"
