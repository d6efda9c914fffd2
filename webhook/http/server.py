"""Accepts connections, as many as the open-files limit allows, and watches over them.

Beyond the limit nothing is refused and nothing fails: new connections wait in the kernel's backlog
until others are closed. Silent, idle and lagging connections are closed for them.
"""

import asyncio
import errno
import logging
import resource
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter
from pathlib import Path

from tornado.httputil import HTTPServerConnectionDelegate

from webhook.http.connection import Connection
from webhook.http.contract import ServerState
from webhook.http.exchange import Owner, PostExchange
from webhook.http.limits import HttpLimits
from webhook.http.notice import Notice
from webhook.http.tls import TlsConnection
from webhook.problem import Problem

log = logging.getLogger(__name__)

ACCEPTS_PER_TURN = 512  # then those already accepted get their turn
HANDSHAKES_PER_TURN = 32  # the same for TLS, where each takes a quarter of a millisecond
RESERVED_FILES = 64  # what is not a connection: the store's files, the log, the event loop
SWEEP_SECONDS = 0.5
DRAIN_QUIET_SECONDS = 0.25  # without a new connection: nobody sends here any more
LAST_ANSWERS_SECONDS = 2.0
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def raise_open_files_limit() -> int:
    """Raise this process's limit on open files as far as it goes; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def largest_backlog() -> int:
    """How many connections the kernel lets wait for `accept`."""
    try:
        return int(Path("/proc/sys/net/core/somaxconn").read_text())
    except (OSError, ValueError):
        return socket.SOMAXCONN


class HttpServer:
    """A listening socket and its connections.

    `application` answers all requests but `POST /events`; those go to `take_post(exchange, body)`,
    which answers now or later through the exchange's connection, or raises Problem.
    """

    def __init__(
        self,
        application: HTTPServerConnectionDelegate,
        take_post: Callable[[PostExchange, bytes], None],
        limits: HttpLimits,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        """For those who connect from now on; None for plain HTTP."""
        self.max_connections = max_connections
        self.connections: set[Connection] = set()
        self.accepted = 0
        self._state = ServerState(application, limits)
        self._take_post = take_post
        self._on_closed = self._forget  # one object for all connections
        self._listener: socket.socket
        self._accepting = False
        self._exhausted = False
        self._spare: deque[Connection] = deque()
        """Who may give way to new ones; looked for only at the limit."""
        self._notice = Notice(
            log,
            "%d connections are open, which is as many as may be (WEBHOOK_MAX_CONNECTIONS, or the "
            "open-files limit): new ones wait, and those that are silent, idle or lag are closed "
            "for them",
        )
        self._sweeper: asyncio.Task[None]

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Since it has started."""
        return self._state.loop

    @property
    def draining(self) -> bool:
        """Whether it closes each connection after its answer."""
        return self._state.draining

    @property
    def refused(self) -> dict[int, int]:
        """Requests refused before they were complete, by HTTP status."""
        return self._state.refused

    @property
    def gave_way(self) -> dict[str, int]:
        """Requests and connections given up for others, by the limit that was reached."""
        return self._state.gave_way

    @property
    def failed_handshakes(self) -> int:
        """Of TLS."""
        return self._state.failed_handshakes

    @property
    def receiving_bytes(self) -> int:
        """Of requests that are being received."""
        return self._state.receiving_bytes

    def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the address that was bound. Raises OSError."""
        self._state.loop = asyncio.get_running_loop()
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited
            listener.setblocking(False)
            listener.bind(address)
            listener.listen(largest_backlog())
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._accept_more()
        self._sweeper = self.loop.create_task(self._sweep())
        bound = listener.getsockname()
        return bound[0], bound[1]

    def answer(self, exchanges: Iterable[PostExchange], problem: Problem | None) -> None:
        """Answer POSTs: with `problem`, or 200 where there is none.

        A connection that is owed several answers gets them in one piece.
        """
        together: dict[Owner, None] = {}
        for exchange in exchanges:
            connection = exchange.connection
            try:
                if connection.prepare(exchange, problem or len(exchange.events)):
                    connection.flush()
                else:
                    together[connection] = None
            except Exception:
                log.exception("an answer could not be given")
                connection.lose()
        for connection in together:
            connection.flush()

    async def drain(self, seconds: float) -> None:
        """Serve on, closing each connection after its answer, until none is left and none comes.

        New connections are accepted until it has been quiet for a moment, or most of `seconds`
        have passed; the rest is for those that are still open then.
        """
        self._state.draining = True
        deadline = time.monotonic() + seconds
        last_accept = deadline - min(LAST_ANSWERS_SECONDS, seconds / 2)
        accepted = -1
        while time.monotonic() < last_accept and (self.connections or accepted != self.accepted):
            accepted = self.accepted
            await asyncio.sleep(min(DRAIN_QUIET_SECONDS, seconds / 4))
        accepted = -1
        while accepted != self.accepted:  # all that have come in since
            accepted = self.accepted
            self._accept()
        self._close_listener()
        while self.connections and time.monotonic() < deadline:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.02)

    def _close_listener(self) -> None:
        self._pause_accepting()
        self._listener.close()

    def stop(self) -> None:
        """Close everything."""
        self._close_listener()
        self._sweeper.cancel()
        for connection in list(self.connections):
            connection.lose()

    def _forget(self, connection: Connection) -> None:
        """A connection has closed."""
        self.connections.discard(connection)
        self._accept_more()

    def _accept_more(self) -> None:
        if (
            self._listener.fileno() >= 0
            and not self._accepting
            and (len(self.connections) < self.max_connections or self._spare)
        ):
            self._accepting = True
            self.loop.add_reader(self._listener.fileno(), self._accept)

    def _pause_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            self.loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        """Take in who waits; at the limit one a turn: of one alone it is known that it does."""
        for number in range(ACCEPTS_PER_TURN if self.tls is None else HANDSHAKES_PER_TURN):
            if len(self.connections) >= self.max_connections:
                if number and self._spare:
                    return None
                if not self._make_room():
                    return self._pause_accepting()
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    continue  # an error of that one connection, says accept(2)
                if not self._exhausted:
                    log.warning("can't accept now: %s; connections wait in the backlog", error)
                self._exhausted = True
                return self._pause_accepting()  # the sweep, or a close, resumes it
            self._exhausted = False
            sock.setblocking(False)
            self.accepted += 1
            connection = self._connection(sock, address[0])
            if connection is not None:
                self.connections.add(connection)
                connection.readable()  # the request is often here already
        return None

    def _connection(self, sock: socket.socket, remote_ip: str) -> Connection | None:
        """None for one that is gone already."""
        given = (self._state, sock, remote_ip, self._take_post, self._on_closed)
        if self.tls is None:
            return Connection(*given)
        try:
            return TlsConnection(*given, self.tls)
        except OSError:
            sock.close()
            return None

    def _make_room(self) -> bool:
        """Close a connection that is not needed; whether there was one."""
        now = time.monotonic()
        self._notice.say(now, self.max_connections)
        while self._spare and not self.draining:
            if self._spare.popleft().give_way(now):
                self._state.gave_way["connections"] += 1
                return True
        return False

    def _look_for_spare(self, now: float) -> None:
        """Who may give way at the limit, those who were never of use first, then the idlest."""
        self._spare.clear()
        if len(self.connections) >= self.max_connections and not self.draining:
            found = [(since, one) for one in self.connections if (since := one.spared_since(now))]
            self._spare.extend(one for _, one in sorted(found, key=itemgetter(0)))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.check(now)
            self._look_for_spare(now)
            self._accept_more()
