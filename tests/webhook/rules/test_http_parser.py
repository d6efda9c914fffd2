"""From bytes to requests: the same ones, however the bytes are cut into reads."""

import gzip
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook.http.parser
from tests.support.virtual_time import VirtualClock
from tests.webhook.rules.examples import examples
from tests.webhook.rules.http_requests import (
    BODY_BYTES,
    CUTS,
    HEADER_BYTES,
    LIMITS,
    REFUSED,
    STREAMS,
    Request,
    Stream,
    chunked,
    served,
)
from webhook.http.connection import Connection
from webhook.http.exchange import Exchange, PostExchange, TornadoExchange
from webhook.http.parser import EndOfRequests, RequestParser
from webhook.problem import Problem

Entry = tuple[Any, ...]


class Finder:
    """A connection that feeds its parser, and holds what is found."""

    remote_ip = "127.0.0.1"

    def __init__(self, most: int = 1000) -> None:
        """It stops by itself after the request with the number `most`."""
        self.log: list[Entry] = []
        self.stopped = False
        self._most = most
        self.parser = RequestParser(cast("Connection", self), LIMITS)

    def feed(self, data: bytes) -> None:
        """Until it has stopped."""
        if self.stopped:
            return
        try:
            self.parser.feed(memoryview(data))
        except EndOfRequests:
            assert self.stopped
        except Problem as problem:
            if not self.stopped:
                self.log.append((int(problem.status), problem.detail, problem.stored))
            self.stopped = True

    def begin(self, exchange: Exchange) -> None:
        assert self.parser.exchange is exchange
        assert not self.stopped
        self.log.append(("begins", type(exchange), exchange.version, exchange.keep_alive))

    def complete(self, exchange: Exchange, body: bytes) -> None:
        assert self.parser.receiving_since is None
        asked: Entry = ()
        if isinstance(exchange, TornadoExchange):
            headers = {f"{name}: {value}" for name, value in exchange.headers.get_all()}
            asked = (*exchange.start_line, headers)
        elif isinstance(exchange, PostExchange):
            asked = ({b": ".join(one).decode() for one in exchange.raw_headers},)
        self.log.append(("is complete", asked, body))
        self._most -= 1
        self.stopped = not exchange.keep_alive or self._most == 0

    def flush(self) -> None:
        assert self.parser.exchange is not None
        self.log.append(("sends", self.parser.exchange.output))


def found(pieces: Iterable[bytes]) -> list[Entry]:
    finder = Finder()
    for piece in pieces:
        finder.feed(piece)
    return finder.log


def one_by_one(raw: bytes) -> list[bytes]:
    return [raw[at : at + 1] for at in range(len(raw))]


def understood(request: Request) -> list[Entry]:
    """What should be found of a request that is served."""
    kind = PostExchange if request.is_events else TornadoExchange
    asked: Entry = (request.method, request.path, f"HTTP/{request.version}", request.headers)
    return [
        ("begins", kind, request.version, request.keep_alive),
        *([("sends", b"HTTP/1.1 100 Continue\r\n\r\n")] if request.continues else []),
        ("is complete", (request.headers,) if request.is_events else asked, request.body),
    ]


@given(STREAMS)
@examples(150)
def test_requests_are_understood_as_they_were_meant(stream: Stream) -> None:
    log = found(stream.pieces())
    for request in stream.answered:
        expected = [] if request.status else understood(request)
        assert log[: len(expected)] == expected
        del log[: len(expected)]
        if request.status:
            assert log.pop()[0] == request.status
    assert "is complete" not in [kind for kind, *_ in log]


@given(STREAMS)
@examples(80)
def test_however_they_are_cut_they_are_the_same(stream: Stream) -> None:
    whole = found([stream.raw])
    assert found(stream.pieces()) == whole
    assert found(one_by_one(stream.raw)) == whole


@pytest.mark.parametrize("bad", REFUSED, ids=lambda one: f"{one.status}-{one.raw[:30]!r}")
def test_a_bad_request_is_refused_once_and_told_why(bad: Request) -> None:
    for pieces in ([bad.raw], one_by_one(bad.raw)):
        finder = Finder()
        for piece in pieces:
            finder.feed(piece)
        *before, (status, detail, stored) = finder.log
        assert status == bad.status
        assert detail
        assert stored == "no"
        assert [kind for kind, *_ in before] in ([], ["begins"])
        finder.parser.forget()
        assert finder.parser.held_bytes == 0


@given(st.lists(served(), min_size=2, max_size=5), st.integers(1, 4), CUTS)
@examples(60)
def test_a_connection_that_has_stopped_finds_no_request_more(
    requests: list[Request], most: int, cuts: list[int]
) -> None:
    stream = Stream(requests, cuts, b"")
    finder = Finder(most)
    for piece in stream.pieces():
        finder.feed(piece)
    completed = [entry for entry in finder.log if entry[0] == "is complete"]
    assert len(completed) == min(most, len(stream.answered))
    assert finder.log[-1] == completed[-1]


# Limits


def head(part: str, size: int) -> bytes:
    """A head whose target, names and values have `size` bytes together."""
    if part == "target":
        return b"GET /%b HTTP/1.1\r\nHost: test\r\n\r\n" % (b"a" * (size - 9))
    if part == "name":
        return b"GET / HTTP/1.1\r\nHost: test\r\n%b: b\r\n\r\n" % (b"a" * (size - 10))
    if part == "value":
        return b"GET / HTTP/1.1\r\nHost: test\r\na: %b\r\n\r\n" % (b"b" * (size - 10))
    lines = b"a: b\r\n" * ((size - 9) // 2)
    return b"GET /%b HTTP/1.1\r\nHost: test\r\n%b\r\n" % (b"a" * ((size - 9) % 2), lines)


@given(st.sampled_from(["target", "name", "value", "many"]), st.integers(1, 30), CUTS)
@examples(60)
def test_a_head_past_the_limit_is_refused_and_one_within_it_is_not(
    part: str, more: int, cuts: list[int]
) -> None:
    """Whether what is between its parts is counted, too, depends on the cuts."""
    assert found([head(part, HEADER_BYTES)])[-1][0] == "is complete"
    past = Stream([Request(head(part, HEADER_BYTES + more))], cuts, b"")
    assert found(past.pieces())[-1][0] == 431
    between = 100 if part != "many" else HEADER_BYTES * 2 // 3
    within = Stream([Request(head(part, HEADER_BYTES - between - more))], cuts, b"")
    assert len(within.raw) <= HEADER_BYTES
    assert found(within.pieces())[-1][0] == "is complete"


def test_the_limit_is_for_each_head() -> None:
    requests = [Request(head("value", HEADER_BYTES - 100))] * 4
    assert [entry[0] for entry in found([Stream(requests, [], b"").raw])].count("is complete") == 4


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nb: "])
def test_a_head_that_does_not_end_is_refused_at_the_limit(begin: bytes) -> None:
    finder = Finder()
    finder.feed(begin)
    sent = 0
    while not finder.stopped:
        sent += 1
        finder.feed(b"a")
    assert finder.log[-1][0] == 431
    assert sent in range(HEADER_BYTES, HEADER_BYTES + 2)


@given(st.sampled_from(["length", "chunked", "gzip"]), st.integers(-30, 30), CUTS)
@examples(60)
def test_a_body_past_the_limit_is_refused_and_one_within_it_is_not(
    framing: str, more: int, cuts: list[int]
) -> None:
    body = b"a" * (BODY_BYTES + more)
    lines = [b"POST /events HTTP/1.1", b"Host: test"]
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
        sent = body
    else:
        lines.append(b"Transfer-Encoding: chunked")
        sent = chunked(body, [70], b"", b"")
    if framing == "gzip":
        lines.append(b"Content-Encoding: gzip")
        sent = chunked(gzip.compress(body, mtime=0), [5], b"", b"")
    stream = Stream([Request(b"\r\n".join([*lines, b"", b""]) + sent)], cuts, b"")
    last = found(stream.pieces())[-1]
    kind, detail, body_or_no = last
    assert (kind, body_or_no) == (("is complete", body) if more <= 0 else (413, "no"))
    assert detail


def test_a_body_too_large_is_refused_as_soon_as_that_is_known() -> None:
    announced = b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n"
    assert found([announced % (BODY_BYTES + 1)])[-1][0] == 413
    chunks = b"POST /events HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"
    assert found([chunks, b"a" * BODY_BYTES])[-1][0] == "begins"
    assert found([chunks, b"a" * (BODY_BYTES + 1)])[-1][0] == 413


# What is known of a request that is being received


@given(STREAMS)
@examples(60)
def test_what_is_held_is_bounded_and_nothing_between_requests(stream: Stream) -> None:
    finder = Finder()
    for piece in stream.pieces():
        finder.feed(piece)
        if not finder.stopped:
            held = finder.parser.held_bytes
            assert held <= 2 * HEADER_BYTES + BODY_BYTES
            assert held == 0 or finder.parser.receiving_since is not None
        else:
            finder.parser.forget()
            assert finder.parser.held_bytes == 0


@given(st.integers(1, 400), st.integers(1, BODY_BYTES), st.integers(1, 100))
@examples(50)
def test_all_that_has_come_of_a_request_is_held(value: int, body: int, size: int) -> None:
    """Of a header that has not ended as well as of a body."""
    raw = b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\nX: " % BODY_BYTES
    finder = Finder()
    finder.feed(raw)
    header = b"a" * value
    for at in range(0, value, size):
        finder.feed(header[at : at + size])
    assert value <= finder.parser.held_bytes <= len(raw) + value
    finder.feed(b"\r\n\r\n")
    rest = b"b" * (body - 1)
    for at in range(0, len(rest), size):
        finder.feed(rest[at : at + size])
    assert value + len(rest) <= finder.parser.held_bytes <= len(raw) + value + len(rest) + 4


OFFER = Request(
    b"POST /events HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 9\r\n\r\n123456789"
)


@given(st.lists(served() | st.just(OFFER), min_size=1, max_size=4), CUTS)
@examples(100)
def test_a_request_is_being_received_from_its_first_byte_to_its_last(
    requests: list[Request], cuts: list[int]
) -> None:
    """The time that it is given runs from the read that brought its first byte."""
    stream = Stream(requests, cuts, b"")
    begins = [0, *accumulate(len(request.raw) for request in requests)]
    finder, clock, position = Finder(), VirtualClock(), 0
    came: dict[int, float] = {}
    with patch.object(webhook.http.parser, "time", clock):
        for piece in stream.pieces():
            clock.advance(1)
            came |= {at: clock.monotonic() for at in range(position, position + len(piece))}
            position += len(piece)
            finder.feed(piece)
            if finder.stopped:
                break
            began = max(at for at in begins if at <= position)
            expected = came[began] if began < position else None
            assert finder.parser.receiving_since == expected
