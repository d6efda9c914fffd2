"""What became of an event, as the receiver's behaviour decides it."""

import asyncio
import errno
import re
import socket
from contextlib import ExitStack

import pytest

from tests.tgibf.generator import tgibf
from tests.tgibf.peer import PROBLEM, Behaviour, Call, Peer, answer, problem
from tgibf.outcome import OUT_OF_FILES, OUT_OF_PORTS, error_kind
from tgibf.summary import summarize
from tgibf.tally import Tally

ONE = ("--burst-size=1", "--bursts=1", "--json")


def sends(data: bytes) -> Behaviour:
    """Answer with exactly these bytes, then close."""

    async def behave(call: Call) -> None:
        await call.send(data)
        call.hang_up()

    return behave


async def resets(call: Call) -> None:
    call.reset()


async def hangs_up(call: Call) -> None:
    call.hang_up()


async def stalls(_call: Call) -> None:
    await asyncio.Event().wait()


async def resets_within_the_answer(call: Call) -> None:
    await call.send(answer(200)[:30])
    call.reset()


UNFRAMED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
CHUNKED_TORN = CHUNKED[:-5]


@pytest.mark.parametrize(
    ("behave", "outcome", "error"),
    [
        pytest.param(sends(answer(200)), "acked", None, id="200"),
        pytest.param(sends(UNFRAMED), "acked", None, id="200 that ends with the connection"),
        pytest.param(sends(CHUNKED), "acked", None, id="200 in chunks"),
        pytest.param(
            sends(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200)), "acked", None, id="100, 200"
        ),
        pytest.param(sends(answer(202)), "unknown", "http 202", id="202"),
        pytest.param(sends(answer(307)), "unknown", "http 307", id="307"),
        pytest.param(sends(answer(400)), "refused", "http 400", id="400"),
        pytest.param(
            sends(answer(422, problem("no"), PROBLEM)), "refused", "http 422", id="422, not stored"
        ),
        pytest.param(
            sends(answer(429, problem("unknown"), PROBLEM)),
            "unknown",
            "http 429",
            id="429, unknown",
        ),
        pytest.param(
            sends(answer(503, problem("no"), f"{PROBLEM}; charset=utf-8")),
            "refused",
            "http 503",
            id="503, not stored",
        ),
        pytest.param(
            sends(answer(503, problem("unknown"), PROBLEM)),
            "unknown",
            "http 503",
            id="503, unknown",
        ),
        pytest.param(
            sends(answer(503, b'{"title": "x"}', PROBLEM)),
            "unknown",
            "http 503",
            id="503, says nothing",
        ),
        pytest.param(
            sends(answer(503, problem("no"))), "unknown", "http 503", id="503, no problem+json"
        ),
        pytest.param(sends(answer(500, b"{", PROBLEM)), "unknown", "http 500", id="500, no JSON"),
        pytest.param(
            sends(answer(502, b"<h1>Bad Gateway</h1>", "text/html")),
            "unknown",
            "http 502",
            id="502 from a proxy",
        ),
        pytest.param(resets, "unknown", "reset", id="reset"),
        pytest.param(resets_within_the_answer, "unknown", "reset", id="reset within the answer"),
        pytest.param(hangs_up, "unknown", "closed without answer", id="closed"),
        pytest.param(
            sends(answer(200)[:-1]), "unknown", "closed within the answer", id="half an answer"
        ),
        pytest.param(
            sends(CHUNKED_TORN), "unknown", "closed within the answer", id="half the chunks"
        ),
        pytest.param(sends(b"SMTP ready\r\n"), "unknown", "malformed answer", id="no HTTP"),
        pytest.param(stalls, "unknown", "timeout", id="no answer in time"),
    ],
)
def test_outcome(behave: Behaviour, outcome: str, error: str | None) -> None:
    with Peer(behave) as peer:
        run = tgibf(peer.url, *ONE, "--timeout=1")

    expected = {"acked": 0, "refused": 0, "unknown": 0, outcome: 1}
    assert {name: run.summary[name] for name in expected} == expected
    assert run.summary["errors"] == ({} if error is None else {error: 1})
    assert run.code == (0 if outcome == "acked" else 1)


def test_a_port_nobody_listens_on_refuses() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        run = tgibf(f"http://127.0.0.1:{bound.getsockname()[1]}", "--burst-size=20", *ONE[1:])

    assert run.code == 1
    assert run.summary["refused"] == 20
    assert run.summary["errors"] == {"connect: refused": 20}
    assert run.summary["failed_bursts"] == 1
    assert run.summary["latency_ms"] == {"p50": None, "p99": None, "p99_9": None, "max": None}


def test_a_connection_that_does_not_come_about_in_time_is_refused() -> None:
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(2):  # fill the queue of connections that nobody accepts
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        run = tgibf(f"http://127.0.0.1:{address[1]}", *ONE, "--timeout=0.5")

    assert run.code == 1
    assert run.summary["refused"] == 1
    assert run.summary["errors"] == {"connect: timeout": 1}


def test_an_answer_that_comes_before_the_whole_request_was_read_counts() -> None:
    async def refuse_at_the_sight_of_the_head(call: Call) -> None:
        await call.answer(413, problem("no"), PROBLEM, headers="Connection: close\r\n")
        call.hang_up()

    with Peer(refuse_at_the_sight_of_the_head, read_body=False) as peer:
        run = tgibf(
            peer.url, "--burst-size=1000", "--bursts=1", "--batch=1000", "--json", "--timeout=5"
        )

    assert run.summary["refused"] == 1000
    assert run.summary["errors"] == {"http 413": 1000}


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EADDRNOTAVAIL, OUT_OF_PORTS), (errno.EMFILE, OUT_OF_FILES)]
)
def test_limits_of_the_generator_are_told_apart(code: int, kind: str) -> None:
    tally = Tally()
    tally.errors[error_kind(OSError(code, "x"), written=False)] += 7

    text = summarize(tally, mode="burst", urls=["x"], seconds=1, warnings=[]).as_text()

    assert re.search(rf"7 {kind} \(the generator's limit, not the receiver's\)", text)
