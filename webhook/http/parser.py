"""From bytes to requests, with the limits on what a request may be."""

import time
from http import HTTPStatus
from typing import NoReturn

import httptools
from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

from webhook.http.contract import Requests
from webhook.http.exchange import Exchange, PostExchange, TornadoExchange
from webhook.http.inflate import Inflater
from webhook.http.limits import HttpLimits
from webhook.http.origin import check_origin
from webhook.http.response import CONTINUE
from webhook.problem import Problem

_LOOKED_AT = frozenset(
    {
        b"host",
        b"content-length",
        b"expect",
        b"content-encoding",
        b"transfer-encoding",
        b"origin",
        b"sec-fetch-site",
    }
)
UNCODED = frozenset({b"", b"identity"})
HEADERS = 100
"""Most headers of a request, and as many trailers."""
LINE_BYTES = 4
"""Of a header beside its name and value: a colon, a space, and the end of the line."""


class EndOfRequests(Exception):  # noqa: N818 - not an error
    """The connection serves no further request; what came after the last is not looked at."""


class RequestParser:
    """Feeds `httptools` and hands what it finds to the connection.

    `connection.begin(exchange)` when a request's head is complete, `connection.complete(exchange,
    body)` when all of it is. An exception in a callback ends the parsing where it stands.
    """

    def __init__(self, connection: Requests, limits: HttpLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._fed_at = 0.0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._trailers = 0
        self._body: bytes | bytearray = b""
        self._inflater: Inflater | None = None
        self._progress = 0  # what has come out of the parser so far
        self._pending = 0  # bytes that went in since something last came out
        self._upgrading = False
        self.requests = 0
        """Requests that have begun."""
        self.exchange: Exchange | None = None
        """The request whose head has come in, but not yet all of its body."""
        self.receiving_since: float | None = None
        """When the request that is being received began, in monotonic seconds."""

    @property
    def held_bytes(self) -> int:
        """Bytes of a request that is being received."""
        if self.receiving_since is None:
            return 0
        body = self._body if self.exchange is not None else b""
        return self._head_bytes + self._pending + len(body)

    def feed(self, data: memoryview) -> None:
        """Parse what was read.

        Raises Problem if it can't be served, EndOfRequests if nothing more will be.
        """
        self._fed_at = time.monotonic()
        self._parse(data)

    def _parse(self, data: memoryview) -> None:
        progress = self._progress
        offered_at = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            offered_at = upgrade.args[0]
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"malformed HTTP request: {error}") from None
        if offered_at is not None:
            self._go_on_without_upgrade(data[offered_at:])
        elif self.receiving_since is not None:
            # A header, of a head or a trailer, comes out only when all of it is in.
            self._pending = self._pending + len(data) if progress == self._progress else 0
            self._check_head(self._pending)

    def _go_on_without_upgrade(self, rest: memoryview) -> None:
        """Take a request that offers another protocol as one that does not (RFC 9110, 7.8).

        The parser leaves its body unread: parse the same request again, without the offer, as of
        when it began.
        """
        parser, fed_at = self._parser, self._fed_at
        version = parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (parser.get_method(), self._url, version)]
        lines += [b"%b: %b" % one for one in self._headers if one[0].lower() != b"upgrade"]
        self._upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        self._fed_at = fed_at if self.receiving_since is None else self.receiving_since
        self._parse(memoryview(b"\r\n".join([*lines, b"", b""])))
        self._fed_at = fed_at
        if rest:
            self._parse(rest)

    def forget(self) -> None:
        """Drop what has come in of a request that is refused. Nothing may be fed afterwards."""
        self._url = self._body = b""
        self._headers = []
        self._inflater = None
        self._head_bytes = self._pending = 0

    def release(self) -> None:
        """Let go of what refers back to it: memory is free at once, not at a collector's pass.

        With a connection per event those passes made up half of p99. Nothing may be fed afterwards.
        """
        del self._parser, self._connection

    # What httptools calls, in this order for each request

    def on_message_begin(self) -> None:
        if self._connection.stopped:
            raise EndOfRequests
        self.requests += 1
        self._progress += 1
        self.receiving_since = self._fed_at
        self._url = b""
        self._headers = []
        self._body = b""
        self._head_bytes = self._pending = self._trailers = 0
        self._inflater = None

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)
        self._check_head(self._head_bytes)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._progress += 1
        self._head_bytes = size = self._head_bytes + len(name) + len(value) + LINE_BYTES
        if self.exchange is None:
            headers = self._headers
            if size > self._limits.header_bytes or len(headers) >= HEADERS:
                self._refuse_head()
            # Blanks are no part of a value (RFC 9110, 5.5); llhttp leaves those at its end.
            headers.append((name, value.rstrip(b" \t")))
        else:  # a trailer, which nobody reads
            self._trailers += 1
            if size > self._limits.header_bytes or self._trailers > HEADERS:
                self._refuse_head()

    def on_headers_complete(self) -> None:
        parser = self._parser
        method = parser.get_method()
        if method == b"CONNECT":
            raise Problem(HTTPStatus.NOT_IMPLEMENTED, "this is not a proxy: there is no CONNECT")
        if parser.should_upgrade():
            self._upgrading = True
            return
        version = parser.get_http_version()
        target = self._url if self._url.startswith(b"/") else _origin_form(self._url)
        kind = (
            PostExchange
            if method == b"POST" and _path(target) in self._limits.event_paths
            else TornadoExchange
        )
        exchange = kind(self._connection, version, parser.should_keep_alive())
        self.exchange = exchange
        self._connection.begin(exchange)
        waits = self._check_headers(version)
        if isinstance(exchange, PostExchange):
            exchange.raw_headers = self._headers  # no copy: the next request gets a new list
            if self._limits.admit is not None:
                self._limits.admit(exchange)
        if waits:
            exchange.output = CONTINUE
            self._connection.flush()
        if isinstance(exchange, TornadoExchange):
            exchange.start_line = RequestStartLine(
                method.decode(), target.decode("latin-1"), f"HTTP/{version}"
            )
            exchange.headers = self._tornado_headers()

    def on_body(self, chunk: bytes) -> None:
        self._progress += 1
        if self._inflater is not None:
            chunk = self._inflater.feed(chunk)
        if not self._body:
            self._body = chunk
        elif isinstance(self._body, bytearray):
            self._body += chunk
        else:
            self._body = bytearray(self._body + chunk)
        self._check_body(len(self._body))

    def on_message_complete(self) -> None:
        if self._inflater is not None:
            self._inflater.finish()  # as long as the exchange is there to be refused
        exchange, self.exchange = self.exchange, None
        if self._upgrading or exchange is None:
            return
        self.receiving_since = None
        self._connection.complete(exchange, bytes(self._body))

    # Limits

    def _check_headers(self, version: str) -> bool:
        """Whether the client waits for 100 Continue. Raises Problem."""
        hosts = 0
        waits = from_browser = False
        for name, value in self._headers:
            lower = name.lower()
            if lower not in _LOOKED_AT:
                continue
            if lower == b"host":
                hosts += 1
            elif lower == b"content-length":
                self._check_body(int(value))
            elif lower == b"expect":
                waits = version == "1.1" and value.lower() == b"100-continue"
            elif lower == b"content-encoding":
                self._take_coding(value)
            elif lower == b"transfer-encoding":
                _check_transfer(value, version)
            else:
                from_browser = True
        if version != "1.1" or hosts != 1:
            _check_version(version, hosts)
        if from_browser and isinstance(self.exchange, PostExchange):
            self._check_origin()
        return waits

    def _check_origin(self) -> None:
        sent = {name.lower(): value.decode("latin-1") for name, value in self._headers}
        host = sent.get(b"host", "")
        check_origin(host, sent.get(b"origin"), sent.get(b"sec-fetch-site"), self._limits.hosts)

    def _take_coding(self, value: bytes) -> None:
        """Inflate the body; only the body of a POST of events is read here. Raises Problem."""
        if isinstance(self.exchange, PostExchange) and value.strip().lower() not in UNCODED:
            if self._inflater is not None:
                value = b"%b, %b" % (self._inflater.name, value)
            self._inflater = Inflater(value, self._limits.body_bytes)

    def _check_head(self, size: int) -> None:
        if size > self._limits.header_bytes:
            self._refuse_head()

    def _refuse_head(self) -> NoReturn:
        raise Problem(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"request line and headers may have {self._limits.header_bytes} bytes together, "
            f"and be {HEADERS} headers",
        )

    def _check_body(self, size: int) -> None:
        allowed = self._limits.body_bytes
        if size > allowed:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body may have {allowed} bytes; send fewer events at once",
            )

    def _tornado_headers(self) -> HTTPHeaders:
        headers = HTTPHeaders()
        try:
            for name, value in self._headers:
                headers.add(name.decode("latin-1"), value.decode("latin-1"))
        except HTTPInputError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"malformed header: {error}") from None
        return headers


def _check_version(version: str, hosts: int) -> None:
    if version == "1.1":
        if hosts != 1:
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"an HTTP/1.1 request has one Host header, not {hosts}"
            )
    elif version != "1.0":
        raise Problem(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"HTTP/1.1 or 1.0 is taken, not {version}"
        )


def _check_transfer(coding: bytes, version: str) -> None:
    if version != "1.1":  # who passed it on may not have known where it ends (RFC 9112, 6.1)
        raise Problem(HTTPStatus.BAD_REQUEST, f"there is no Transfer-Encoding in HTTP/{version}")
    if coding.strip().lower() != b"chunked":
        raise Problem(
            HTTPStatus.NOT_IMPLEMENTED,
            f"Transfer-Encoding {coding.decode('latin-1')!r} is not taken, only chunked; "
            "name a body's compression in Content-Encoding",
        )


def _path(target: bytes) -> bytes:
    return target.partition(b"?")[0]


def _origin_form(target: bytes) -> bytes:
    """`http://host/path?query`, which proxies send, as `/path?query`; other targets unchanged."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target
    return b"/" + rest.partition(b"/")[2]
