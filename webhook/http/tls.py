"""A connection over TLS: Python's own `ssl`, in the place of a socket that never blocks."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from webhook.http.connection import Connection
from webhook.http.contract import ServerState
from webhook.http.exchange import PostExchange

_WAITS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class TlsSocket:
    """What a connection uses of a socket; the handshake comes with its first reads.

    Raises OSError.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, failed: Callable[[], None]
    ) -> None:
        """`failed` is called if the handshake does."""
        self._failed = failed
        self._shaken = False
        self._tls = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def fileno(self) -> int:
        return self._tls.fileno()

    @property
    def has_more(self) -> bool:
        """Whether there is input that the kernel no longer tells of."""
        return self._tls.pending() > 0

    def recv_into(self, buffer: memoryview) -> int:
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            return self._tls.recv_into(buffer)
        except _WAITS:
            raise BlockingIOError from None
        except OSError:
            if not self._shaken:
                self._failed()
            raise

    def send(self, data: bytes | bytearray) -> int:
        try:
            return self._tls.send(data)
        except _WAITS:
            raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        self._say_goodbye()
        self._tls.shutdown(how)

    def close(self) -> None:
        self._say_goodbye()
        self._tls.close()

    def _say_goodbye(self) -> None:
        """So that the client knows that it has all; nobody waits for its own."""
        if self._shaken:
            with suppress(OSError, ValueError):
                self._tls.unwrap()


class TlsConnection(Connection):
    """See Connection; `sock` is wrapped. Raises OSError."""

    _sock: TlsSocket

    def __init__(
        self,
        state: ServerState,
        sock: socket.socket,
        remote_ip: str,
        take_post: Callable[[PostExchange, bytes], None],
        on_closed: Callable[[Connection], None],
        context: ssl.SSLContext,
    ) -> None:
        wrapped = TlsSocket(sock, context, state.note_failed_handshake)
        super().__init__(state, wrapped, remote_ip, take_post, on_closed)
        self._goes_on = False

    def _watch_input(self) -> None:
        super()._watch_input()
        if self._reading and not self._goes_on and self._sock.has_more:
            self._goes_on = True
            self._state.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Read what the kernel has given already."""
        self._goes_on = False
        if self._reading and not self._closed:
            self.readable()
