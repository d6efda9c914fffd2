"""Requests as clients may send them, good and bad ones, and what each should come to."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from webhook.http.limits import HttpLimits
from webhook.http.parser import HEADERS

HEADER_BYTES = 600
BODY_BYTES = 500
PATHS = frozenset({b"/events", b"/webhook"})
LIMITS = HttpLimits(
    header_bytes=HEADER_BYTES,
    body_bytes=BODY_BYTES,
    receiving_bytes=1 << 20,
    request_seconds=10.0,
    idle_seconds=75.0,
    connection_age_seconds=60.0,
    event_paths=PATHS,
)


@dataclass(frozen=True)
class Request:
    """The bytes of a request, and how it should be understood."""

    raw: bytes
    method: str = "POST"
    path: str = "/events"
    version: str = "1.1"
    keep_alive: bool = True
    body: bytes = b""
    headers: frozenset[str] = frozenset()
    continues: bool = False
    """Whether its client may wait for 100 Continue."""
    status: int = 0
    """With which it is refused; 0 for one that is served."""

    @property
    def is_events(self) -> bool:
        return is_of_events(self.method, self.path)


def is_of_events(method: str, path: str) -> bool:
    return method == "POST" and path.partition("?")[0].encode() in PATHS


def chunked(body: bytes, sizes: Sequence[int], extension: bytes, trailer: bytes) -> bytes:
    """`body` in chunks of such sizes, again and again."""
    pieces = []
    for size in [*sizes] * (len(body) + 1):
        if not body:
            break
        pieces.append(b"%x%b\r\n%b\r\n" % (len(body[:size]), extension, body[:size]))
        body = body[size:]
    return b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": lambda data: gzip.compress(data, mtime=0),
    b"deflate": zlib.compress,
    b"Deflate": raw_deflate,
    b"identity": bytes,
}
TARGETS = {
    b"/events": "/events",
    b"/webhook?a=b": "/webhook?a=b",
    b"http://test/events": "/events",
    b"/other": "/other",
    b"/events/count?x=%20": "/events/count?x=%20",
}


@st.composite
def served(draw: st.DrawFn) -> Request:
    """A request that is served, of any kind that is."""
    method = draw(st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "DELETE"]))
    target = draw(st.sampled_from(sorted(TARGETS)))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    body = sent = draw(st.binary(max_size=60) | st.integers(400, BODY_BYTES).map(b"abcde".ljust))
    path = TARGETS[target]
    headers = [b"Host: test"] if version == "1.1" or draw(st.booleans()) else []
    if draw(st.booleans()):
        headers.append(b"X-Long: " + draw(st.sampled_from([b"", b"a", b"b" * 200])))
    if draw(st.integers(0, 3)) == 0:
        coding = draw(st.sampled_from(sorted(CODINGS)))
        headers.append(b"Content-Encoding: " + coding)
        sent = CODINGS[coding](body)
        if not is_of_events(method, path):  # whoever answers that reads it as it came
            body = sent
    keep_alive, more = draw(_connection(version))
    headers += more
    continues = draw(st.integers(0, 4)) == 0
    if continues:
        headers.append(draw(st.sampled_from([b"Expect: 100-continue", b"Expect: 100-Continue"])))
    framing, payload = draw(_framed(version, sent))
    headers = draw(st.permutations([*headers, *framing]))
    lines = [b"%b %b HTTP/%b" % (method.encode(), target, version.encode()), *headers, b"", b""]
    raw = b"\r\n".join(lines) + payload
    waits = continues and version == "1.1"
    named = frozenset(header.decode() for header in headers if b"Upgrade: " not in header)
    return Request(raw, method, path, version, keep_alive, body, named, waits)


@st.composite
def _connection(draw: st.DrawFn, version: str) -> tuple[bool, list[bytes]]:
    """Whether the connection is kept, and the headers that say so."""
    kind = draw(st.sampled_from(["", "", "", "", "", "close", "keep-alive", "upgrade"]))
    offer = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"Http2-Settings: AAM"]
    if kind == "upgrade":
        return version == "1.1", offer
    headers = [b"Connection: " + kind.encode()] if kind else []
    return (version == "1.1" and kind != "close") or kind == "keep-alive", headers


@st.composite
def _framed(draw: st.DrawFn, version: str, body: bytes) -> tuple[list[bytes], bytes]:
    """The headers that say how long the body is, and its bytes on the wire."""
    if not body and draw(st.booleans()):
        return [], b""
    if version == "1.0" or draw(st.booleans()):
        return [b"Content-Length: %d" % len(body)], body
    sizes = draw(st.lists(st.integers(1, 80), min_size=1, max_size=3))
    extension = draw(st.sampled_from([b"", b"", b";a=b"]))
    trailer = draw(st.sampled_from([b"", b"", b"Checksum: 5\r\n", b"Host: other\r\n"]))
    return [b"Transfer-Encoding: chunked"], chunked(body, sizes, extension, trailer)


def _post(*headers: bytes, body: bytes = b"", status: int) -> Request:
    head = b"\r\n".join([b"POST /events HTTP/1.1", *headers, b"", b""])
    return Request(head + body, status=status)


HOST = b"Host: test"
CHUNKED = b"Transfer-Encoding: chunked"
REFUSED = [
    Request(b"hello\r\n\r\n", status=400),
    Request(b"POST /events HTTP/1.1\r\nbad header\r\n\r\n", status=400),
    Request(b"CONNECT test:1 HTTP/1.1\r\nHost: test:1\r\n\r\n", status=501),
    _post(body=b"{}", status=400),
    _post(HOST, HOST, b"Content-Length: 2", body=b"{}", status=400),
    _post(HOST, b"Content-Length: 1", CHUNKED, body=b"0\r\n\r\n", status=400),
    _post(HOST, b"Content-Length: %d" % (BODY_BYTES + 1), b"Expect: 100-continue", status=413),
    _post(HOST, b"Content-Length: %d" % (BODY_BYTES + 1), body=b"a" * 501, status=413),
    _post(HOST, CHUNKED, body=chunked(b"a" * (BODY_BYTES + 1), [200], b"", b""), status=413),
    _post(HOST, b"X: " + b"a" * HEADER_BYTES, status=431),
    _post(HOST, *[b"A%d: %b" % (i, b"a" * 50) for i in range(12)], status=431),
    Request(b"GET /" + b"a" * HEADER_BYTES + b" HTTP/1.1\r\nHost: test\r\n\r\n", status=431),
    _post(HOST, CHUNKED, body=b"0\r\n" + b"a: b\r\n" * HEADER_BYTES + b"\r\n", status=431),
    _post(HOST, *[b"a:"] * HEADERS, status=431),
    _post(HOST, CHUNKED, body=b"0\r\n" + b"a:\r\n" * (HEADERS + 1) + b"\r\n", status=431),
    _post(HOST, b"Origin: http://other", b"Content-Length: 2", body=b"{}", status=403),
    _post(HOST, b"Sec-Fetch-Site: cross-site", b"Content-Length: 2", status=403),
    _post(HOST, b"Transfer-Encoding: gzip, chunked", status=501),
    _post(HOST, b"Content-Encoding: br", b"Content-Length: 2", body=b"{}", status=415),
    _post(HOST, b"Content-Encoding: gzip", b"Content-Length: 2", body=b"{}", status=400),
    _post(
        HOST,
        b"Content-Encoding: gzip",
        CHUNKED,
        body=chunked(gzip.compress(b"a" * (BODY_BYTES + 1), mtime=0), [9], b"", b""),
        status=413,
    ),
    _post(
        HOST,
        b"Content-Encoding: gzip",
        CHUNKED,
        body=chunked(gzip.compress(b"a", mtime=0)[:-1], [9], b"", b""),
        status=400,
    ),
]


@dataclass(frozen=True)
class Stream:
    """What a client sends on a connection, and how that is cut into reads."""

    requests: Sequence[Request]
    cuts: Sequence[int]
    blank: bytes
    """What some clients send after the body of each request."""

    @property
    def raw(self) -> bytes:
        return b"".join(request.raw + self.blank for request in self.requests)

    @property
    def answered(self) -> list[Request]:
        """The requests that are owed an answer: up to the first that ends the connection."""
        ending = (
            number
            for number, request in enumerate(self.requests, start=1)
            if request.status or not request.keep_alive
        )
        return list(self.requests[: next(ending, None)])

    def as_promised(self) -> "Stream":
        """The same without what is sent after a request that says it is the last."""
        ends = self.answered and not self.answered[-1].keep_alive
        return Stream(self.answered, self.cuts, b"") if ends else self

    def pieces(self) -> list[bytes]:
        """The reads."""
        raw = self.raw
        edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in self.cuts)})
        return [raw[begin:end] for begin, end in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=20)
STREAMS = st.builds(
    lambda good, bad, cuts, blank: Stream([*good, *bad], cuts, blank),
    st.lists(served(), max_size=5),
    st.lists(st.sampled_from(REFUSED), max_size=1),
    CUTS,
    st.sampled_from([b"", b"", b"\r\n"]),
)
