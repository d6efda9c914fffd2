"""One machine's TCP sockets, in memory, for what uses them without blocking.

What a client sends at once is one read of the server's. A server's `send` takes what there is room
for. A socket that is closed with input unread, or is sent to afterwards, resets the connection, as
a kernel does: what the client had not read by then is lost to it.
"""

import errno
import selectors
import socket
from collections import deque
from typing import Any

FIRST = 1_000_000  # descriptors, which no process has so many of
ADDRESS = ("127.0.0.1", 8080)


class Accepted:
    """The server's end of a connection."""

    def __init__(self, number: int, client: "Client") -> None:
        self._number = number
        self._client = client
        self.came: deque[bytes] = deque()
        self.ended = False
        """Whether the client sends no more."""
        self.reset = False
        self.closed = False
        self.room = client.room
        """Bytes that `send` takes until the client reads."""

    @property
    def ready(self) -> int:
        readable = bool(self.came) or self.ended or self.reset
        writable = self.room > 0 or self.reset
        return selectors.EVENT_READ * readable | selectors.EVENT_WRITE * writable

    def fileno(self) -> int:
        return -1 if self.closed else self._number

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def recv_into(self, buffer: memoryview) -> int:
        assert not self.closed
        if self.reset:
            raise ConnectionResetError(errno.ECONNRESET, "reset by the client")
        if not self.came:
            if self.ended:
                return 0
            raise BlockingIOError
        data = self.came.popleft()
        buffer[: len(data)] = data[: len(buffer)]
        if data[len(buffer) :]:
            self.came.appendleft(data[len(buffer) :])
        return min(len(data), len(buffer))

    def send(self, data: bytes | bytearray) -> int:
        assert not self.closed
        assert not self._client.ended, "sent after the end"
        if self.reset:
            raise ConnectionResetError(errno.ECONNRESET, "reset by the client")
        size = min(len(data), self.room)
        if not size:
            raise BlockingIOError
        self.room -= size
        self._client.arrive(bytes(data[:size]))
        return size

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR
        if self.reset:
            raise OSError(errno.ENOTCONN, "not connected")
        self._client.ended = True

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        self._client.ended = True
        if self.came:
            self._client.lose()


class Client:
    """The other end: `received` is what it has read.

    With a `room` it reads when it is told to, and so many bytes are on their way at most.
    """

    def __init__(self, room: int | None = None) -> None:
        self.room = 1 << 30 if room is None else room
        self.received = b""
        self.ended = False
        """Whether the server sends no more."""
        self.was_reset = False
        self._reads = room is None
        self._unread = b""
        self._socket: Accepted | None = None
        self._sent: list[bytes] = []

    @property
    def socket(self) -> Accepted:
        """The server's end, which is there once it is accepted."""
        assert self._socket is not None
        return self._socket

    @property
    def is_accepted(self) -> bool:
        return self._socket is not None

    def accepted(self, number: int) -> Accepted:
        self._socket = Accepted(number, self)
        for data in self._sent:
            self.send(data)
        return self._socket

    def send(self, data: bytes) -> None:
        if self._socket is None:
            self._sent.append(data)
        elif self._socket.closed:
            self.lose()
        elif data:
            self._socket.came.append(data)

    def finish(self) -> None:
        """Send no more."""
        self.socket.ended = True

    def abort(self) -> None:
        """Reset the connection."""
        self.socket.reset = True

    def arrive(self, data: bytes) -> None:
        self._unread += data
        if self._reads:
            self.read(len(self._unread))

    def read(self, size: int) -> None:
        """Read so many bytes, as far as there are."""
        data, self._unread = self._unread[:size], self._unread[size:]
        self.received += data
        self.socket.room += len(data)

    def lose(self) -> None:
        self.was_reset = True
        self._unread = b""


class Listener:
    """A listening socket; `errors` are raised by its next `accept` calls."""

    def __init__(self, number: int, network: "Network") -> None:
        self._number = number
        self._network = network
        self.waiting: deque[Client] = deque()
        self.errors: deque[OSError] = deque()
        self.closed = False

    @property
    def ready(self) -> int:
        return selectors.EVENT_READ if self.waiting or self.errors else 0

    def fileno(self) -> int:
        return -1 if self.closed else self._number

    def setsockopt(self, *_: object) -> None:
        pass

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def bind(self, _address: object) -> None:
        pass

    def listen(self, backlog: int) -> None:
        assert backlog > 0

    def getsockname(self) -> tuple[str, int]:
        return ADDRESS

    def accept(self) -> tuple[Accepted, tuple[str, int]]:
        assert not self.closed
        if self.errors:
            raise self.errors.popleft()
        if not self.waiting:
            raise BlockingIOError
        return self._network.accept(self.waiting.popleft()), ("192.0.2.1", 50_000)

    def close(self) -> None:
        self.closed = True


class Network:
    """Stands in for the module `socket` of who listens."""

    def __init__(self) -> None:
        self._next = FIRST
        self._ends: dict[int, Accepted | Listener] = {}
        self.listener: Listener

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)  # its constants

    def getaddrinfo(self, *_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ADDRESS)]

    def socket(self, *_: object) -> Listener:
        number = self._number()
        self.listener = self._ends[number] = Listener(number, self)
        return self.listener

    def ready(self, number: int) -> int:
        """Which events there are of a descriptor; see `VirtualLoop`."""
        end = self._ends.get(number)
        return end.ready if end is not None else 0

    def connect(self, room: int | None = None) -> Client:
        """A connection, which waits in the backlog."""
        client = Client(room)
        self.listener.waiting.append(client)
        return client

    def accept(self, client: Client) -> Accepted:
        number = self._number()
        end = self._ends[number] = client.accepted(number)
        return end

    def _number(self) -> int:
        self._next += 1
        return self._next
