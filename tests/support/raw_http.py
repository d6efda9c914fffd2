"""HTTP by hand over a socket, for what a well-behaved client can't do."""

import select
import socket
from dataclasses import dataclass
from typing import Self

from harness.http import Answer


@dataclass(frozen=True)
class RawAnswer(Answer):
    """An answer as it came over the wire; header names in lower case."""

    version: str


class RawConnection:
    """A connection on which a test writes bytes and reads answers."""

    def __init__(self, port: int, seconds: float = 15) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self._input = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> RawAnswer:
        """The next answer, by its Content-Length."""
        line = self._input.readline().decode()
        if not line:
            raise EOFError("the connection was closed before an answer")
        version, status, *_ = line.split()
        headers: dict[str, str] = {}
        while header := self._input.readline().decode().strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = self._input.read(int(headers.get("content-length", 0)))
        return RawAnswer(int(status), headers, body, version)

    def stays_open(self, seconds: float) -> bool:
        """Whether the server leaves it open for so long, and sends nothing."""
        return not select.select([self.socket], [], [], seconds)[0]

    def at_end(self) -> bool:
        """Whether the server has closed, in order, with nothing more to read. Waits for it."""
        return self._input.read(1) == b""


def post(body: bytes, *headers: str, version: str = "1.1", path: str = "/events") -> bytes:
    """The bytes of a POST with a Content-Length, and with Host for HTTP/1.1."""
    lines = [f"POST {path} HTTP/{version}", f"Content-Length: {len(body)}", *headers]
    if version == "1.1":
        lines.append("Host: test")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
