"""A server in memory with its clients; what it is asked is answered when a test says so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from unittest.mock import patch

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

import webhook.http.connection
import webhook.http.parser
import webhook.http.response
import webhook.http.server
from tests.support.memory_network import Client, Network
from tests.support.raw_http import RawAnswer
from tests.support.virtual_time import VirtualClock, run
from webhook.events import Event
from webhook.http.exchange import PostExchange, TornadoExchange
from webhook.http.limits import HttpLimits
from webhook.http.server import HttpServer
from webhook.problem import Problem

MODULES = [
    webhook.http.connection,
    webhook.http.parser,
    webhook.http.response,
    webhook.http.server,
]


class Service:
    """An HTTP server; `delays` are the seconds until each answer, again and again.

    A POST of events is answered with how many bytes its body had, or 422 if its body is `no`;
    any other request with its method, its path and the length of its body.
    """

    def __init__(
        self, network: Network, limits: HttpLimits, delays: Iterable[float], most: int
    ) -> None:
        self.network = network
        self.http = HttpServer(Echo(self), self.take_post, limits, most)
        self.taken: list[bytes] = []
        """Bodies of POSTs."""
        self.gone = 0
        """Requests whose client was said to be gone before they were answered."""
        self.asked = 0
        """How many were to be answered, now or later."""
        self._delays = list(delays)
        self._due: dict[float, list[PostExchange]] = {}

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.http.loop

    def connect(self, room: int | None = None) -> Client:
        return self.network.connect(room)

    def delay(self) -> float:
        """Until the next answer."""
        self.asked += 1
        return self._delays[self.asked % len(self._delays)]

    def take_post(self, exchange: PostExchange, body: bytes) -> None:
        self.taken.append(body)
        if body == b"no":
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no")
        exchange.events = [Event(0, "a", None, "{}")] * len(body)
        at = self.loop.time() + self.delay()
        if at not in self._due:
            self._due[at] = []
            self.loop.call_at(at, lambda: self.http.answer(reversed(self._due.pop(at)), None))
        self._due[at].append(exchange)


class Echo(HTTPServerConnectionDelegate):
    """The application, as Tornado would have it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def start_request(self, _server: object, request: HTTPConnection) -> HTTPMessageDelegate:
        assert isinstance(request, TornadoExchange)
        return EchoRequest(self.service, request)


class EchoRequest(HTTPMessageDelegate):
    """"""

    def __init__(self, service: Service, exchange: TornadoExchange) -> None:
        self._service = service
        self._exchange = exchange
        self._asked = RequestStartLine("", "", "")
        self._size = 0
        self._gone = False
        exchange.set_close_callback(self._lost)

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, _headers: HTTPHeaders
    ) -> None:
        assert isinstance(start_line, RequestStartLine)
        self._asked = start_line

    def data_received(self, chunk: bytes) -> None:
        self._size += len(chunk)

    def finish(self) -> None:
        delay = self._service.delay()
        if delay:
            self._service.loop.call_later(delay, self._answer)
        else:
            self._answer()

    def _lost(self) -> None:
        self._service.gone += 1

    def _answer(self) -> None:
        body = echo(self._asked.method, self._asked.path, self._size)
        headers = HTTPHeaders()
        start = ResponseStartLine("HTTP/1.1", 200, "OK")
        if self._exchange.version == "1.1" and self._asked.path == "/other":
            self._exchange.write_headers(start, headers, body[:3])
            self._exchange.write(body[3:])
        elif self._asked.path == "/unsized":
            self._exchange.write_headers(start, headers, body)
        else:
            headers["Content-Length"] = str(len(body))
            self._exchange.write_headers(start, headers, body)
        self._exchange.finish()


def echo(method: str, path: str, size: int) -> bytes:
    return f"{method} {path} {size}".encode()


def answers(received: bytes) -> list[RawAnswer]:
    """The answers that a client has read; the last one may be without a length."""
    found = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, head
        status, *lines = head.decode().split("\r\n")
        version, code, *_ = status.split()
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
        if "content-length" in headers:
            size = int(headers["content-length"])
            assert len(rest) >= size
            body, received = rest[:size], rest[size:]
        elif headers.get("transfer-encoding") == "chunked":
            body, received = _joined(rest)
        elif code == "100":
            body, received = b"", rest
        else:
            body, received = rest, b""
        found.append(RawAnswer(int(code), headers, body, version))
    return found


def _joined(rest: bytes) -> tuple[bytes, bytes]:
    """A chunked body, and what follows it."""
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        assert end
        chunk, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        if not chunk:
            return body, rest
        body += chunk


class _Errors(logging.Handler):
    """What is logged as an error is one: nothing here should come to that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@contextmanager
def no_errors() -> Iterator[None]:
    """A test in which none is logged."""
    errors, logger = _Errors(), logging.getLogger("webhook.http")
    logger.addHandler(errors)
    try:
        yield
    finally:
        logger.removeHandler(errors)
    assert errors.messages == []


def serve(
    test: Callable[[Service], Awaitable[None]],
    limits: HttpLimits,
    delays: Iterable[float] = (0.0,),
    most: int = 1000,
) -> Service:
    """Run `test` with a service, which must have closed and hold nothing afterwards."""
    network, clock = Network(), VirtualClock()
    service = Service(network, limits, delays, most)

    async def played() -> None:
        service.http.start("127.0.0.1", 8080)
        await test(service)
        service.http.stop()
        await asyncio.sleep(1000)
        assert service.http.connections == set()
        assert service.http.receiving_bytes == 0

    with (
        no_errors(),
        patch.object(webhook.http.server, "socket", network),
    ):
        run(played(), clock, MODULES, network.ready, 3000)
    return service
