"""The bytes of answers."""

import time
from collections.abc import Callable
from email.utils import formatdate

from tornado.httputil import HTTPHeaders, ResponseStartLine

from webhook.problem import CONTENT_TYPE, Problem

BROWSER_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""With every answer that a browser could show, or another site's page take in."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_JSON = b"application/json"


def connection_header(version: str, keep_alive: bool) -> bytes:
    """The Connection header of an answer to a request of HTTP `version` ("1.0" or "1.1")."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if version == "1.0" else b""


def head(start_line: ResponseStartLine, headers: HTTPHeaders, connection: bytes) -> bytes:
    """Status line and headers, with `connection` as made by `connection_header`."""
    lines = [f"HTTP/1.1 {start_line.code} {start_line.reason}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.get_all()]
    return "".join(lines).encode("latin-1") + connection + b"\r\n"


class Responses:
    """Answers to `POST /events`, kept ready for as long as their Date header holds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._second = -1
        self._date = b""
        self._accepted: dict[tuple[int, bytes], bytes] = {}

    def accepted(self, events: int, connection: bytes) -> bytes:
        """200 for `events` stored events."""
        self._tick()
        answer = self._accepted.get((events, connection))
        if answer is None:
            body = b'{"accepted": %d}' % events
            answer = self._response(b"200 OK", _JSON, connection, body)
            self._accepted[events, connection] = answer
        return answer

    def problem(self, problem: Problem, connection: bytes) -> bytes:
        """An error, as problem+json."""
        self._tick()
        status = f"{problem.status.value} {problem.status.phrase}".encode()
        headers = {**BROWSER_HEADERS, **problem.headers}
        extra = b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items())
        return self._response(status, CONTENT_TYPE.encode(), extra + connection, problem.body())

    def _tick(self) -> None:
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode()
            self._accepted.clear()

    def _response(self, status: bytes, content_type: bytes, extra: bytes, body: bytes) -> bytes:
        return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n%b" % (
            status,
            content_type,
            len(body),
            self._date,
            extra,
            body,
        )
