"""A webhook that behaves as the test scripts it, on a real socket."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Any, Self

JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Call:
    """A request as it came: `number` counts requests, `connection` counts connections, from 1."""

    number: int
    connection: int
    number_on_connection: int
    at: float
    head: str
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def events(self) -> list[dict[str, str]]:
        """The events of the body, be it one or an array."""
        content: Any = json.loads(self.body)
        return content if isinstance(content, list) else [content]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, status: int = 200, body: bytes = b"{}", kind: str = JSON, *, headers: str = ""
    ) -> None:
        await self.send(answer(status, body, kind, headers=headers))

    def hang_up(self) -> None:
        """Close the connection in the ordinary way."""
        self.writer.close()

    def reset(self) -> None:
        """Close the connection with a RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Call], Awaitable[None]]


def answer(status: int = 200, body: bytes = b"{}", kind: str = JSON, *, headers: str = "") -> bytes:
    """The bytes of an answer; `headers` are further lines, each with its line end."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{headers}\r\n".encode() + body


def problem(stored: str) -> bytes:
    """The body of a problem with the member "stored"."""
    return json.dumps({"title": "x", "stored": stored}).encode()


async def acknowledge(call: Call) -> None:
    """The behaviour of a webhook that is well."""
    await call.answer()
    if "connection: close" in call.head.lower():
        call.hang_up()


class Peer:
    """A context manager: the webhook runs in a thread of its own, on a port the kernel picks."""

    def __init__(
        self,
        behave: Behaviour = acknowledge,
        *,
        read_body: bool = True,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self._behave = behave
        self._read_body = read_body
        self._tls = tls
        self._changed = Condition()
        self._listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        scheme = "https" if tls else "http"
        name = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{name}:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)

    def wait_for_calls(self, count: int) -> None:
        """Wait until that many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, timeout=20), (
                f"{len(self.calls)} requests came, {count} were awaited"
            )

    def call_soon(self, action: Callable[[], None]) -> None:
        """Do something in the webhook's own thread."""
        self._loop.call_soon_threadsafe(action)

    def events(self) -> list[dict[str, str]]:
        """Every event that came."""
        return [event for call in self.calls for event in call.events]

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, sock=self._listener, ssl=self._tls, backlog=1024
        )

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            number = 0
            while not writer.is_closing():
                number += 1
                await self._receive(reader, writer, connection, number)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the generator has closed it
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _receive(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: int,
        number: int,
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        body = await reader.readexactly(length) if self._read_body else b"{}"
        with self._changed:
            call = Call(len(self.calls) + 1, connection, number, monotonic(), head, body, writer)
            self.calls.append(call)
            self._changed.notify_all()
        await self._behave(call)
