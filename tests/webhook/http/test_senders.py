"""What real senders send: compressed, cut, in other forms, to other paths, and first a probe."""

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checked_receiver import EVENT, Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import bodies, query
from webhook.http.inflate import FREE_BYTES, MOST_MEMBERS, Inflater
from webhook.problem import Problem

BODY = json.dumps(EVENT).encode()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "GZIP": ("GZIP", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without its wrapper": ("deflate", raw_deflate),
    "identity": ("identity", lambda data: data),
}


def exchange(receiver: Receiver, request: bytes) -> tuple[int, dict[str, str], str]:
    """Status, headers and detail of the answer to a request on a connection of its own."""
    with RawConnection(receiver.port) as raw:
        raw.send(request)
        answer = raw.answer()
        return answer.status, answer.headers, answer.json.get("detail", "")


@pytest.mark.parametrize("name", CODINGS)
def test_compressed_bodies_are_inflated(receiver: Receiver, store_path: Path, name: str) -> None:
    coding, compress = CODINGS[name]
    status, _, detail = exchange(receiver, post(compress(BODY), f"Content-Encoding: {coding}"))
    assert status == 200, detail
    assert bodies(store_path) == [BODY.decode()]
    with RawConnection(receiver.port) as raw:  # the next one on the connection is plain again
        raw.send(post(compress(BODY), f"Content-Encoding: {coding}") + post(BODY))
        assert [raw.answer().status for _ in range(2)] == [200, 200]
    assert receiver.count() == 3


@pytest.mark.parametrize(
    ("coding", "body", "status", "words"),
    [
        ("br", BODY, 415, "send gzip, deflate, or none"),
        ("gzip, gzip", gzip.compress(BODY, mtime=0), 415, "is not taken"),
        ("gzip", BODY, 400, "the body is not valid gzip data"),
        ("gzip", gzip.compress(BODY, mtime=0)[:-9], 400, "in the middle of the gzip data"),
        ("gzip", gzip.compress(BODY, mtime=0) + b"more", 400, "something follows the end"),
        ("gzip", b"", 400, "in the middle of the gzip data"),
        ("gzip", gzip.compress(b" " * (8 << 20), mtime=0), 413, "inflated, the body may have"),
        ("deflate", b"\xff", 400, "in the middle of the deflate data"),
    ],
)
def test_what_can_not_be_inflated_is_refused(
    receiver: Receiver, coding: str, body: bytes, status: int, words: str
) -> None:
    got, headers, detail = exchange(receiver, post(body, f"Content-Encoding: {coding}"))
    assert got == status
    assert words in detail
    assert headers.get("accept-encoding") == ("gzip, deflate" if status == 415 else None)
    assert receiver.post().status == 200


def test_gzip_data_may_have_several_members() -> None:
    packed = gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b")
    for size in range(1, len(packed)):
        inflater = Inflater(b"gzip", 10)
        assert inflater.feed(packed[:size]) + inflater.feed(packed[size:]) == b"ab"
        inflater.finish()
    with pytest.raises(Problem, match="something follows"):
        Inflater(b"gzip", 10).feed(gzip.compress(b"") * (MOST_MEMBERS + 1))


@given(st.binary(max_size=3000), st.lists(st.integers(1, 200)), st.sampled_from(list(CODINGS)))
def test_however_it_is_cut_it_is_the_same(data: bytes, cuts: list[int], name: str) -> None:
    coding, compress = CODINGS[name]
    if coding == "identity":
        return
    packed, inflater, got = compress(data), Inflater(coding.encode(), 10_000), b""
    while packed:
        size = cuts.pop() if cuts else len(packed)
        got += inflater.feed(packed[:size])
        packed = packed[size:]
    inflater.finish()
    assert got == data


def test_a_bomb_is_refused_before_it_is_there() -> None:
    bomb = gzip.compress(b"a" * (64 << 20))
    inflater = Inflater(b"gzip", 32 << 20)
    with pytest.raises(Problem, match="250 for each"):
        inflater.feed(bomb[:1000])
    assert len(Inflater(b"gzip", 32 << 20).feed(gzip.compress(b"a" * FREE_BYTES))) == FREE_BYTES


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_part_of_the_event(
    receiver: Receiver, store_path: Path, mark: bytes
) -> None:
    assert receiver.post(mark + BODY).status == 200
    assert receiver.post(mark + b"[" + BODY + b"]").status == 200
    assert bodies(store_path) == [BODY.decode()] * 2


CUT = r'{"type": "call.new", "call_id": "7", "name": "a \ud83d"}'


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (CUT, [CUT]),
        (f" [ {CUT} , {CUT}]", [CUT, CUT]),
        (f'[{{"type": "a"}}, {CUT}]', ['{"type": "a"}', CUT]),
    ],
)
def test_half_a_character_is_stored_as_it_came(
    receiver: Receiver, store_path: Path, sent: str, stored: list[str]
) -> None:
    answer = receiver.post(sent.encode())
    assert answer.json == {"accepted": len(stored)}
    assert bodies(store_path) == stored
    assert receiver.count() == len(stored)


def test_half_a_character_in_what_is_read_out_of_it(receiver: Receiver, store_path: Path) -> None:
    assert receiver.post(rb'{"type": "x\udc00", "call_id": "\ud83d"}').status == 200
    assert query(store_path, "SELECT type, call_id FROM events") == [("x\ufffd", "\ufffd")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty; an event is a JSON object"),
        (b" \r\n", "the body is empty"),
        (b"type=call.new&call_id=7", "looks like a form (a=b&c=d); send JSON"),
        (BODY + b"\n" + BODY, "send them as an array"),
        (BODY.decode().encode("utf-16"), "looks like UTF-16"),
        (BODY.decode().encode("utf-16-le"), "looks like UTF-16"),
        (gzip.compress(BODY, mtime=0), "there is no Content-Encoding: gzip"),
        (rb'{"type": "\ud83d", }', "the body is not JSON"),
        (rb'[{"type": "\ud83d"} {"type": "b"}]', "no comma"),
        (rb'{"type": "\ud83d", "n": NaN}', "NaN is not JSON"),
    ],
)
def test_the_message_says_what_came_and_what_should(
    receiver: Receiver, body: bytes, words: str
) -> None:
    answer = receiver.post(body)
    assert answer.status == 400
    assert words in answer.json["detail"]


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "identity", "chunked, chunked"])
def test_another_transfer_coding_than_chunked_is_refused(receiver: Receiver, coding: str) -> None:
    head = f"POST /events HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: {coding}\r\n\r\n"
    with RawConnection(receiver.port) as raw:
        raw.send(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        answer = raw.answer()
        assert answer.status in {400, 501}
        assert answer.headers["connection"] == "close"
        assert raw.at_end()
    assert receiver.count() == 0


def test_gzip_and_chunked_is_501(receiver: Receiver) -> None:
    head = "POST /events HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    status, _, detail = exchange(receiver, head.encode())
    assert status == 501
    assert "only chunked" in detail


@pytest.mark.parametrize("path", ["/events", "/events/", "/webhook", "/webhook/", "/events?a=b"])
def test_events_are_taken_at_each_path(receiver: Receiver, path: str) -> None:
    assert receiver.request("POST", path, BODY).json == {"accepted": 1}
    assert receiver.count() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/events", "/webhook/"])
def test_a_sender_may_try_an_address_first(receiver: Receiver, method: str, path: str) -> None:
    answer = receiver.request(method, path)
    assert answer.status == (204 if method == "OPTIONS" else 200)
    assert answer.headers["Allow"] == "POST, GET, HEAD, OPTIONS"
    assert (b"POST events here" in answer.body) == (method == "GET")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_paths_are_a_setting(store_path: Path) -> None:
    with Receiver(store_path, paths="/calls, /in/here") as receiver:
        for path in ("/calls", "/calls/", "/in/here"):
            assert receiver.request("POST", path, BODY).status == 200
        assert receiver.request("POST", "/events", BODY).status == 404
        assert receiver.count() == 3
