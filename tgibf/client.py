"""Many POSTs at once, each on its own connection."""

import asyncio
import select
from collections.abc import Callable, Iterable
from time import monotonic
from typing import NamedTuple

from tgibf.connection import Connection
from tgibf.events import Request
from tgibf.outcome import Ending, error_kind, failed
from tgibf.target import Endpoint

_LINGER = 1.0
"""Seconds that the receiver has to close a connection that is done with, before we do.

Whoever closes first keeps the port in TIME_WAIT for a minute, and the generator would soon be out
of ports."""
_POLL_BATCH = 512


class Post(NamedTuple):
    """A POST in flight. Both times are of `time.monotonic`: seconds.

    `due` is the moment from which latency counts, `began` the one from which the timeout does.
    """

    request: Request
    due: float
    began: float


class Client:
    """Starts POSTs and reports each, exactly once, to `settled` with its ending.

    All sockets sit in an epoll of the client's own, which the event loop watches as a single file.
    To be created and used within a running event loop, and closed.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        settled: Callable[[Post, Ending], None],
        *,
        keep_alive: bool,
        timeout: float,
        max_connections: int,
    ) -> None:
        """`timeout` is in seconds, from the start of a POST to the end of its answer."""
        self.max_connections = max_connections
        self._settled = settled
        self._keep_alive = keep_alive
        self._timeout = timeout
        self._open: dict[int, Connection] = {}
        # Dicts, for their order: the oldest is the first to expire, and the first to close.
        self._in_flight: dict[Connection, Post] = {}
        self._lingering: dict[Connection, float] = {}
        self._idle: dict[Endpoint, dict[Connection, None]] = {
            endpoint: {} for endpoint in endpoints
        }
        self._waiter: asyncio.Future[None] | None = None
        self._limit = 0
        self._epoll = select.epoll()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._dispatch)

    @property
    def in_flight(self) -> int:
        """POSTs that have not ended yet."""
        return len(self._in_flight)

    def post(self, request: Request, due: float | None = None) -> None:
        """Start a POST; latency counts from `due`, or from now. Never waits."""
        now = monotonic()
        post = Post(request, now if due is None else due, now)
        try:
            connection = self._take_idle(request.endpoint) or self._connect(request.endpoint)
        except OSError as error:
            self._settled(post, failed(error_kind(error, written=False), written=False))
            return
        self._in_flight[connection] = post
        connection.begin(request)
        self._go_on(connection)

    async def wait_below(self, limit: int) -> None:
        """Wait until fewer than `limit` POSTs are in flight. For one caller at a time."""
        while self.in_flight >= limit:
            self._limit = limit
            self._waiter = self._loop.create_future()
            await self._waiter

    def expire(self, now: float) -> None:
        """End the POSTs whose time is over, and close what has lingered; to be called often."""
        while self._in_flight:
            connection, post = next(iter(self._in_flight.items()))
            if now - post.began < self._timeout:
                break
            self._end(connection, connection.expire())
        while self._lingering:
            connection, since = next(iter(self._lingering.items()))
            if now - since < _LINGER:
                break
            self._close(connection)

    def abandon(self) -> None:
        """End every POST in flight, now."""
        while self._in_flight:
            connection = next(iter(self._in_flight))
            self._end(connection, connection.abandon())

    def close(self) -> None:
        """Close every connection. No POST may be in flight."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        for connection in self._open.values():
            connection.close()

    def _take_idle(self, endpoint: Endpoint) -> Connection | None:
        idle = self._idle[endpoint]
        return idle.popitem()[0] if idle else None

    def _connect(self, endpoint: Endpoint) -> Connection:
        if len(self._open) >= self.max_connections:
            self._make_room()
        connection = Connection(endpoint)
        self._open[connection.fileno] = connection
        return connection

    def _make_room(self) -> None:
        """Close a connection that carries no POST, if there is one."""
        if self._lingering:
            self._close(next(iter(self._lingering)))
            return
        for idle in self._idle.values():
            if idle:
                self._close(next(iter(idle)))
                return

    def _dispatch(self) -> None:
        for fileno, ready in self._epoll.poll(0, _POLL_BATCH):
            connection = self._open.get(fileno)
            if connection is None:
                continue  # closed earlier in this very batch
            if connection in self._in_flight:
                connection.advance(ready)
                self._go_on(connection)
            elif connection.is_spent():
                self._close(connection)

    def _go_on(self, connection: Connection) -> None:
        if connection.ending is None:
            self._watch(connection, connection.waits_for)
        else:
            self._end(connection, connection.ending)

    def _watch(self, connection: Connection, mask: int) -> None:
        if connection.watched == 0:
            self._epoll.register(connection.fileno, mask)
        elif connection.watched != mask:
            self._epoll.modify(connection.fileno, mask)
        connection.watched = mask

    def _end(self, connection: Connection, ending: Ending) -> None:
        post = self._in_flight.pop(connection)
        if ending.connection_failed:
            self._close(connection)
        else:
            self._keep(connection, ending)
        self._settled(post, ending)
        if self._waiter and self.in_flight < self._limit and not self._waiter.done():
            self._waiter.set_result(None)

    def _keep(self, connection: Connection, ending: Ending) -> None:
        """Put an answered connection where it belongs: in the pool, or out of the way."""
        if ending.reusable and self._keep_alive:
            self._idle[connection.endpoint][connection] = None
        elif connection.is_spent():
            self._close(connection)
            return
        else:
            self._lingering[connection] = monotonic()
        self._watch(connection, select.EPOLLIN)

    def _close(self, connection: Connection) -> None:
        del self._open[connection.fileno]
        self._lingering.pop(connection, None)
        self._idle[connection.endpoint].pop(connection, None)
        connection.close()
