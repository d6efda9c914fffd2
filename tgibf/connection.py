"""One connection to a webhook, carrying one POST at a time.

A connection is a non-blocking socket and a record of how far its POST has come. It never waits:
`advance` goes as far as the socket allows, and `waits_for` then says which readiness is missing.

It uses raw sockets rather than asyncio's transports, for two reasons: a burst needs no task per
event (a quarter less CPU per event), and it is known, not guessed, whether a first byte was
written, which decides between refused and unknown.
"""

import errno
import os
import select
import socket
import ssl
from typing import Final

from tgibf.answer import AnswerReader, MalformedAnswerError
from tgibf.events import Request
from tgibf.outcome import Ending, answered, error_kind, failed
from tgibf.target import Endpoint

_RECEIVE = 64 * 1024
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connection that was begun; `begin` gives it a POST, `ending` tells how that ended.

    `watched` is for the owner: the readiness that it has asked the kernel for.
    """

    __slots__ = (
        "_awaits",
        "_heard",
        "_reader",
        "_reused",
        "_socket",
        "_unsent",
        "_written",
        "ending",
        "endpoint",
        "fileno",
        "watched",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin to connect. Raises OSError if that fails at once."""
        self.endpoint = endpoint
        self.ending: Ending | None = None
        self.watched = 0
        self._reader = AnswerReader()
        self._reused = False
        self._heard = False
        self._written = False
        self._unsent = b""
        # The TLS handshake comes first, and waits for the connection: for it to be writable.
        self._awaits = _OUT if endpoint.tls else 0
        self._socket = _connect(endpoint)
        self.fileno = self._socket.fileno()

    def begin(self, request: Request) -> None:
        """Start a POST, on a connection that is new or whose last answer was `reusable`."""
        self._reused = self.ending is not None
        self.ending = None
        self._heard = False
        self._written = False
        self._unsent = request.data
        self.advance(0)  # on a fast network the first write already finds it connected

    @property
    def waits_for(self) -> int:
        """The readiness, as an epoll mask, without which `advance` gets no further."""
        return self._awaits or (_IN | _OUT if self._unsent else _IN)

    def advance(self, ready: int) -> None:
        """Do what can be done now that the socket has the readiness `ready`, an epoll mask."""
        try:
            if self._awaits and (tls := self.endpoint.tls) and not self._shake_hands(tls):
                return
            if self._unsent:
                self._write()
            if ready & ~_OUT and self.ending is None:
                self._read()
        except OSError as error:
            self._fail(error_kind(error, written=self._written))
        except MalformedAnswerError:
            self.ending = failed("malformed answer", written=True)

    def expire(self) -> Ending:
        """How the POST ends if it had its time."""
        kind = "timeout" if self._written else "connect: timeout"
        return failed(kind, written=self._written)

    def abandon(self) -> Ending:
        """How the POST ends if the generator must stop now."""
        return failed("interrupted", written=self._written)

    def is_spent(self) -> bool:
        """Whether a connection without a POST is of no more use: closed, or with stray bytes."""
        try:
            self._socket.recv(_RECEIVE)
        except _WOULD_BLOCK:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self._socket.close()

    def _shake_hands(self, tls: ssl.SSLContext) -> bool:
        """Go on with the TLS handshake; whether it is done."""
        if not isinstance(self._socket, ssl.SSLSocket):
            if not _is_connected(self._socket):
                return False
            self._socket = tls.wrap_socket(
                self._socket,
                server_hostname=self.endpoint.target.host,
                do_handshake_on_connect=False,
            )
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._awaits = _IN
            return False
        except ssl.SSLWantWriteError:
            self._awaits = _OUT
            return False
        self._awaits = 0
        return True

    def _write(self) -> None:
        # TLS may put a part of a record on the wire before it asks to try again.
        self._written = self._written or self.endpoint.tls is not None
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                self._written = True
                self._unsent = self._unsent[sent:]
        except _WOULD_BLOCK:
            return
        except OSError:
            if self._written:
                self._read()  # the receiver may have answered before it read everything
            if self.ending is None:
                raise

    def _read(self) -> None:
        while self.ending is None:
            try:
                data = self._socket.recv(_RECEIVE)
            except _WOULD_BLOCK:
                return
            self._heard = self._heard or bool(data)
            answer = self._reader.feed(data) if data else self._reader.finish()
            if answer is not None:
                ending = answered(answer)
                # An answer that came too early leaves the rest of its request on the connection.
                self.ending = ending._replace(reusable=False) if self._unsent else ending
            elif not data:
                self._fail("closed within the answer" if self._heard else "closed without answer")

    def _fail(self, kind: str) -> None:
        if self._reused and not self._heard:
            # The receiver closed an idle connection just as it was taken for another POST. Whether
            # it saw that POST first cannot be told.
            self.ending = failed("reused connection closed", written=True)
        else:
            self.ending = failed(kind, written=self._written)


def _connect(endpoint: Endpoint) -> socket.socket:
    connection = socket.socket(endpoint.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = connection.connect_ex(endpoint.address)
    if code not in (0, errno.EINPROGRESS):
        connection.close()
        raise OSError(code, os.strerror(code))
    return connection


def _is_connected(connection: socket.socket) -> bool:
    """Whether a connection that was begun stands. Raises OSError if it failed."""
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    try:
        connection.getpeername()
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            return False
        raise
    return True
