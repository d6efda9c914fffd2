"""From bytes to requests, with the limits on what a request may be."""

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools
from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

from webhook.http.exchange import Exchange, PostExchange, TornadoExchange
from webhook.http.response import CONTINUE
from webhook.problem import Problem

if TYPE_CHECKING:
    from webhook.http.connection import Connection
    from webhook.http.server import HttpLimits


class EndOfRequests(Exception):  # noqa: N818 - not an error
    """The connection serves no further request; what came after the last is not looked at."""


class RequestParser:
    """Feeds `httptools` and hands what it finds to the connection.

    `connection.begin(exchange)` when a request's head is complete, `connection.complete(exchange,
    body)` when all of it is. An exception in a callback ends the parsing where it stands.
    """

    def __init__(self, connection: "Connection", limits: "HttpLimits") -> None:
        self._connection = connection
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._last = False
        self._fed_at = 0.0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self.exchange: Exchange | None = None
        """The request whose head has come in, but not yet all of its body."""
        self._head_bytes = -1  # of a head that is not complete; -1 outside of heads
        self._body_bytes = 0
        self.receiving_since: float | None = None
        """When the request that is being received began, in monotonic seconds."""

    @property
    def held_bytes(self) -> int:
        """Bytes of a body that is being received."""
        return self._body_bytes if self.exchange is not None else 0

    def feed(self, data: memoryview) -> None:
        """Parse what was read.

        Raises Problem if it can't be served, EndOfRequests if nothing more will be.
        """
        self._fed_at = time.monotonic()
        in_head = self._head_bytes >= 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the request itself was served, as if not asked
            raise EndOfRequests from None
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"malformed HTTP request: {error}") from None
        if in_head and self._head_bytes >= 0:
            self._head_bytes += len(data)
            self._check_head(self._head_bytes)

    def release(self) -> None:
        """Let go of what refers back to it: memory is free at once, not at a collector's pass.

        With a connection per event, passes over the remains of thousands of them made up half of
        the slowest answers' time. Nothing may be fed afterwards.
        """
        del self._parser, self._connection

    # What httptools calls, in this order for each request

    def on_message_begin(self) -> None:
        if self._last:
            raise EndOfRequests
        self.receiving_since = self._fed_at
        self._url = b""
        self._headers = []
        self._chunks = []
        self._head_bytes = self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_bytes = -1
        parser = self._parser
        version = parser.get_http_version()
        keep_alive = parser.should_keep_alive()
        self._last = not keep_alive
        target = self._url if self._url.startswith(b"/") else _origin_form(self._url)
        if parser.get_method() == b"POST" and target.partition(b"?")[0] == b"/events":
            exchange: Exchange = PostExchange(self._connection, version, keep_alive)
        else:
            exchange = TornadoExchange(self._connection, version, keep_alive)
        self.exchange = exchange
        self._connection.begin(exchange)
        if self._check_headers(version):
            exchange.output = CONTINUE
            self._connection.flush()
        if isinstance(exchange, TornadoExchange):
            exchange.start_line = RequestStartLine(
                parser.get_method().decode(), target.decode("latin-1"), f"HTTP/{version}"
            )
            exchange.headers = self._tornado_headers()

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._body_bytes += len(chunk)
        self._check_body(self._body_bytes)

    def on_message_complete(self) -> None:
        exchange, self.exchange = self.exchange, None
        self.receiving_since = None
        if exchange is not None:
            chunks = self._chunks
            self._connection.complete(exchange, chunks[0] if len(chunks) == 1 else b"".join(chunks))

    # Limits

    def _check_headers(self, version: str) -> bool:
        """Whether the client waits for 100 Continue. Raises Problem."""
        hosts = 0
        size = len(self._url)
        waits = False
        for name, value in self._headers:
            size += len(name) + len(value)
            lower = name.lower()
            if lower == b"host":
                hosts += 1
            elif lower == b"content-length":
                self._check_body(int(value))
            elif lower == b"expect":
                waits = version == "1.1" and value.lower() == b"100-continue"
        self._check_head(size)
        if version == "1.1" and hosts != 1:
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"an HTTP/1.1 request has one Host header, not {hosts}"
            )
        return waits

    def _check_head(self, size: int) -> None:
        allowed = self._limits.header_bytes
        if size > allowed:
            raise Problem(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"request line and headers may have {allowed} bytes together",
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


def _origin_form(target: bytes) -> bytes:
    """`http://host/path?query`, which proxies send, as `/path?query`; other targets unchanged."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target
    return b"/" + rest.partition(b"/")[2]
