"""One connection: bytes in, requests out; answers in, bytes out.

`httptools` parses. `POST /events` goes straight to the intake; every other request becomes a
Tornado request. Answers leave in the order of the requests (pipelining), whatever order they are
ready in.

The life of a connection: it reads until it must not serve another request (`_stopped`: the client
or we said close, or the input is malformed), sends what it owes, and is closed. Where the client
may still be sending, it lingers: a FIN at once, and what arrives is thrown away for a moment,
because closing a socket with unread input would reset it and take the answer along.
"""

import socket
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
)

from webhook.http.exchange import Exchange, PostExchange, TornadoExchange
from webhook.http.response import CONTINUE, connection_header
from webhook.problem import Problem, unavailable

if TYPE_CHECKING:
    from webhook.http.server import HttpServer

PIPELINED = 64  # unanswered requests on one connection before it stops reading
UNSENT_BYTES = 1 << 18  # unsent output before it stops reading
LINGER_SECONDS = 2.0
QUIET_SECONDS = 5.0  # idle for this long: a kept-alive connection past its age may be closed
DRAIN_QUIET_SECONDS = 1.0  # the same while draining


class Connection:
    """Reads, answers and closes one accepted, non-blocking socket."""

    def __init__(self, server: "HttpServer", sock: socket.socket, remote_ip: str) -> None:
        now = time.monotonic()
        self._server = server
        self._sock = sock
        self._fd = sock.fileno()
        self._remote_ip = remote_ip
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        self._unsent = b""
        self._retire_at = now + server.limits.connection_age_seconds
        self._read_at = now
        self._quiet_since = now  # last input or output
        self._linger_until = 0.0
        self._reading = False
        self._writing = False
        self._stopped = False  # takes no more requests
        self._polite = False  # lingers before it closes
        self._ended = False  # the client has sent all it will
        self._closed = False
        # The request that is being received:
        self._received_since: float | None = None
        self._head_bytes: int | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._exchange: Exchange | None = None
        self._delegate: HTTPMessageDelegate | None = None
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._held_bytes = 0

    # Input

    def readable(self) -> None:
        """Read once, and do what the input asks for."""
        buffer = self._server.buffer
        try:
            size = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return self._watch_input()
        except OSError:
            return self.lose()
        if not size:
            return self._end()
        if not self._linger_until:
            self._feed(buffer[:size])
        return self._watch_input()

    def _feed(self, data: memoryview) -> None:
        self._read_at = self._quiet_since = time.monotonic()
        continued = self._head_bytes is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stopped = self._polite = True
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            self._refuse(Problem(HTTPStatus.BAD_REQUEST, f"malformed HTTP request: {error}"))
        if continued and self._head_bytes is not None:
            self._head_bytes += len(data)
            self._check_head(self._head_bytes)
        held = self._body_bytes if self._exchange is not None else 0
        if held != self._held_bytes:
            self._hold(held)

    def _hold(self, held: int) -> None:
        """Account for the body of a request that is still coming in."""
        self._server.receiving_bytes += held - self._held_bytes
        self._held_bytes = held
        if held and self._server.receiving_bytes > self._server.limits.receiving_bytes:
            self._refuse(unavailable("too many requests are being received"))

    def _end(self) -> None:
        """The client sends no more; it may still be waiting for answers."""
        self._ended = True
        if self._exchange is not None:  # cut off in the middle
            self._exchanges.pop()
            self._exchange = None
        if self._linger_until or not (self._exchanges or self._unsent):
            self.close()
        else:
            self._watch_input()

    def _watch_input(self) -> None:
        """Listen for input where there is use for it, and only there."""
        if self._closed:
            return
        wanted = not self._ended and (
            bool(self._linger_until)
            or not (
                self._stopped
                or len(self._exchanges) >= PIPELINED
                or len(self._unsent) >= UNSENT_BYTES
            )
        )
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._server.loop.add_reader(self._fd, self.readable)
            else:
                self._server.loop.remove_reader(self._fd)

    # What httptools calls, in this order for each request

    def on_message_begin(self) -> None:
        if self._stopped:
            return
        self._received_since = self._read_at
        self._head_bytes = 0
        self._url = b""
        self._headers = []
        self._chunks = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._stopped:
            return
        self._head_bytes = None
        parser = self._parser
        version = parser.get_http_version()
        keep_alive = parser.should_keep_alive()
        path = self._url if self._url.startswith(b"/") else _origin_form(self._url)
        is_post = parser.get_method() == b"POST" and path.partition(b"?")[0] == b"/events"
        if is_post:
            self._exchange = PostExchange(self, version, keep_alive)
        else:
            self._exchange = TornadoExchange(self, version, keep_alive, self._remote_ip)
        self._exchanges.append(self._exchange)
        self._check_headers(version)
        if not is_post and not self._stopped:
            self._begin_tornado(path.decode("latin-1"), version)

    def on_body(self, chunk: bytes) -> None:
        if self._stopped:
            return
        self._chunks.append(chunk)
        self._body_bytes += len(chunk)
        if self._body_bytes > self._server.limits.body_bytes:
            self._refuse(self._too_large())

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if self._stopped or exchange is None:
            return
        self._received_since = None
        self._exchange = None
        if not exchange.keep_alive:
            self._stopped = True
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if isinstance(exchange, PostExchange):
            try:
                self._server.take_post(exchange, body)
            except Problem as problem:
                self.answer(exchange, problem)
        elif self._delegate is not None:
            delegate, self._delegate = self._delegate, None
            if body:
                delegate.data_received(body)
            delegate.finish()

    def _check_headers(self, version: str) -> None:
        """Limits, and what HTTP/1.1 demands of a request's headers."""
        hosts = head = 0
        for name, value in self._headers:
            head += len(name) + len(value)
            name = name.lower()
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                if int(value) > self._server.limits.body_bytes:
                    return self._refuse(self._too_large())
            elif name == b"expect" and value.lower() == b"100-continue" and version == "1.1":
                self._exchanges[-1].output = CONTINUE
        if version == "1.1" and hosts != 1:
            return self._refuse(
                Problem(HTTPStatus.BAD_REQUEST, f"an HTTP/1.1 request has one Host, not {hosts}")
            )
        self._check_head(head + len(self._url))
        if self._exchanges[-1].output:
            self.flush()
        return None

    def _check_head(self, size: int) -> None:
        if size > self._server.limits.header_bytes:
            self._refuse(
                Problem(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"request line and headers may have {self._server.limits.header_bytes} bytes",
                )
            )

    def _too_large(self) -> Problem:
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body may have {self._server.limits.body_bytes} bytes; send fewer events at once",
        )

    def _begin_tornado(self, path: str, version: str) -> None:
        exchange = self._exchange
        assert isinstance(exchange, TornadoExchange)  # noqa: S101 - for the type checker
        method = self._parser.get_method().decode()
        exchange.is_head = method == "HEAD"
        try:
            headers = HTTPHeaders()
            for name, value in self._headers:
                headers.add(name.decode("latin-1"), value.decode("latin-1"))
            self._delegate = self._server.application.start_request(self, exchange)
            self._delegate.headers_received(
                RequestStartLine(method, path, f"HTTP/{version}"), headers
            )
        except HTTPInputError as error:
            self._refuse(Problem(HTTPStatus.BAD_REQUEST, f"malformed HTTP request: {error}"))

    # Output

    def may_keep_alive(self, exchange: Exchange) -> bool:
        """Whether the connection stays open after the answer to `exchange`.

        When we want to close, for age or because we are draining, we do so after the last request
        that has come in: those before it were taken and are owed their answers.
        """
        if self._closed or not exchange.keep_alive:
            return False
        if exchange is not self._exchanges[-1]:
            return True
        return not self._server.draining and time.monotonic() < self._retire_at

    def answer(self, exchange: Exchange, answer: Problem | int) -> None:
        """Answer `exchange`: a problem, or how many events were stored."""
        if self._closed:
            return
        self.prepare(exchange, answer)
        self.flush()

    def prepare(self, exchange: Exchange, answer: Problem | int) -> bool:
        """Make the answer without sending it; whether it is the only one that is due."""
        if self._closed:
            return False
        client_keeps = exchange.keep_alive
        exchange.keep_alive = self.may_keep_alive(exchange)
        self._polite = self._polite or client_keeps != exchange.keep_alive
        connection = connection_header(exchange.version, exchange.keep_alive)
        if isinstance(answer, Problem):
            exchange.output += self._server.responses.problem(answer, connection)
        else:
            exchange.output += self._server.responses.accepted(answer, connection)
        exchange.done = True
        return len(self._exchanges) == 1

    def flush(self) -> None:
        """Send what is ready, in order."""
        if self._closed:
            return
        exchanges = self._exchanges
        closing = False
        while exchanges:
            first = exchanges[0]
            if first.output:
                self._unsent = self._unsent + first.output if self._unsent else first.output
                first.output = b""
            if not first.done:
                break
            exchanges.popleft()
            if not first.keep_alive:
                self._stopped = closing = True
                exchanges.clear()
        if self._unsent:
            self._send()
        if self._closed or self._unsent:
            return
        if closing or ((self._stopped or self._ended) and not exchanges):
            self._finish()
        elif self._stopped or not self._reading:
            self._watch_input()

    def _send(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            return self.lose()
        if sent:
            self._quiet_since = time.monotonic()
        self._unsent = self._unsent[sent:]
        if bool(self._unsent) != self._writing:
            self._writing = not self._writing
            if self._writing:
                self._server.loop.add_writer(self._fd, self.flush)
            else:
                self._server.loop.remove_writer(self._fd)
        return None

    # The end

    def _refuse(self, problem: Problem) -> None:
        """Answer a request that can't be served, and serve no other after it."""
        if self._stopped:
            return
        exchange = self._exchange
        if exchange is None:
            exchange = Exchange(self, "1.1", keep_alive=False)
            self._exchanges.append(exchange)
        self._exchange = self._delegate = None
        self._received_since = self._head_bytes = None
        self._stopped = self._polite = True
        exchange.keep_alive = False
        exchange.output = b""  # in place of 100 Continue
        self.answer(exchange, problem)

    def check(self, now: float) -> None:
        """Close or refuse what has taken too long; called about once a second."""
        limits = self._server.limits
        quiet = now - self._quiet_since
        if self._linger_until:
            if now >= self._linger_until:
                self.close()
        elif self._unsent:
            if quiet > limits.request_seconds:
                self.lose()
        elif self._received_since is not None:
            if now - self._received_since > limits.request_seconds:
                self._refuse(
                    Problem(
                        HTTPStatus.REQUEST_TIMEOUT,
                        f"the request was not complete after {limits.request_seconds:g} s",
                    )
                )
        elif not self._exchanges:
            allowed = limits.idle_seconds
            if self._server.draining:
                allowed = min(allowed, DRAIN_QUIET_SECONDS)
            elif now >= self._retire_at:
                allowed = min(allowed, QUIET_SECONDS)
            if quiet > allowed:
                self.close()

    def _finish(self) -> None:
        """All that was owed is sent: close, politely where the client may still be sending."""
        if self._polite and not self._ended:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                return self.close()
            self._linger_until = time.monotonic() + LINGER_SECONDS
            return self._watch_input()
        return self.close()

    def lose(self) -> None:
        """The client is gone, or must be: drop what it is owed."""
        for exchange in self._exchanges:
            if isinstance(exchange, TornadoExchange):
                exchange.gone()
        self.close()

    def close(self) -> None:
        """Close the socket; answers that become ready later are dropped."""
        if self._closed:
            return
        self._closed = True
        if self._reading:
            self._server.loop.remove_reader(self._fd)
        if self._writing:
            self._server.loop.remove_writer(self._fd)
        self._exchange = None
        self._server.receiving_bytes -= self._held_bytes
        self._sock.close()
        self._server.closed(self)


def _origin_form(target: bytes) -> bytes:
    """`http://host/path?query`, which proxies send, as `/path?query`; other targets unchanged."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target
    return b"/" + rest.partition(b"/")[2]
