"""One request and its answer.

A connection keeps its exchanges in the order of their requests, and sends their output in that
order. An exchange fills `output` and sets `done` when there is no more to come.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from webhook.events import Event
from webhook.http.response import connection_header, head
from webhook.problem import Problem
from webhook.signature import Claim


class Owner(Protocol):
    """What an exchange, and the code that answers it, need from its connection."""

    remote_ip: str

    def may_keep_alive(self, exchange: "Exchange") -> bool:
        """Whether the connection stays open after the answer to `exchange`."""

    def prepare(self, exchange: "Exchange", answer: Problem | int) -> bool:
        """Make the answer without sending it; whether it is the only one that is due."""

    def flush(self) -> None:
        """Send what is ready, in order."""

    def lose(self) -> None:
        """Drop what the client is owed, and close."""


class Exchange:
    """The answer is in `output` once `done`."""

    __slots__ = ("connection", "done", "keep_alive", "output", "version")

    def __init__(self, connection: Owner, version: str, keep_alive: bool) -> None:
        self.connection = connection
        self.version = version
        self.keep_alive = keep_alive
        """Whether the connection may serve another request after this one."""
        self.output = b""
        self.done = False


class PostExchange(Exchange):
    """`POST /events`: a submission to the commit path."""

    __slots__ = ("claim", "events", "is_let_in", "key", "raw_headers", "size", "submitted_at")

    claim: Claim | None
    """What it says of its signature, once its head was judged."""
    is_let_in: bool
    """Whether a password or a token lets it in, whatever its signature is; once it has a claim."""
    key: bytes | None
    """Its sender and its id, once its signature was."""

    raw_headers: Sequence[tuple[bytes, bytes]]
    """The header lines as they came, until the POST is taken; then none."""
    events: list[Event]
    size: int
    submitted_at: float


class _Context:
    """What Tornado's HTTPServerRequest wants to know of a connection."""

    def __init__(self, remote_ip: str) -> None:
        self.remote_ip = remote_ip
        self.protocol = "http"


class TornadoExchange(Exchange, HTTPConnection):
    """Any other request: answered by a `tornado.web.Application` through Tornado's interface."""

    start_line: RequestStartLine
    headers: HTTPHeaders

    def __init__(self, connection: Owner, version: str, keep_alive: bool) -> None:
        super().__init__(connection, version, keep_alive)
        self.context = _Context(connection.remote_ip)
        self.no_keep_alive = False
        self._chunked = False
        self._close_callback: Callable[[], object] | None = None

    def run(self, application: HTTPServerConnectionDelegate, body: bytes) -> None:
        """Give the request to `application`. Raises HTTPInputError."""
        delegate = application.start_request(self.connection, self)
        delegate.headers_received(self.start_line, self.headers)
        if body:
            delegate.data_received(body)
        delegate.finish()

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Tornado's hook for a client that goes away before its answer."""
        self._close_callback = callback

    def gone(self) -> None:
        """The connection was lost."""
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            callback()

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError("a server answers with a ResponseStartLine")
        sized = (
            "Content-Length" in headers
            or "Transfer-Encoding" in headers
            or self.start_line.method == "HEAD"
            or start_line.code in (204, 304)
        )
        if not sized and self.version == "1.1":
            self._chunked = True
            headers["Transfer-Encoding"] = "chunked"
        elif not sized:
            self.keep_alive = False
        if headers.get("Connection", "").lower() == "close":
            self.keep_alive = False
        headers.pop("Connection", None)
        self.keep_alive = self.connection.may_keep_alive(self)
        connection = connection_header(self.version, self.keep_alive)
        self.output += head(start_line, headers, connection)
        return self.write(chunk or b"")

    def write(self, chunk: bytes) -> "asyncio.Future[None]":
        if chunk and self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        self.output += chunk
        self.connection.flush()
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    def finish(self) -> None:
        if self._chunked:
            self.output += b"0\r\n\r\n"
        self.done = True
        self._close_callback = None
        self.connection.flush()
