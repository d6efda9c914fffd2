"""One connection: what it owes to its requests, and how it ends.

Answers leave in the order of the requests (pipelining), whatever order they are ready in.

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

from tornado.httputil import HTTPInputError

from webhook.http.exchange import Exchange, PostExchange, TornadoExchange
from webhook.http.parser import EndOfRequests, RequestParser
from webhook.http.response import connection_header
from webhook.problem import Problem, unavailable

if TYPE_CHECKING:
    from webhook.http.server import HttpServer

PIPELINED = 64  # unanswered requests on one connection before it stops reading
UNSENT_BYTES = 1 << 18  # unsent output before it stops reading
LINGER_SECONDS = 2.0
QUIET_SECONDS = 5.0  # idle for this long, a kept-alive connection past its age is closed
DRAIN_QUIET_SECONDS = 1.0  # the same while draining


class Connection:
    """Reads, answers and closes one accepted, non-blocking socket."""

    def __init__(self, server: "HttpServer", sock: socket.socket, remote_ip: str) -> None:
        now = time.monotonic()
        self.remote_ip = remote_ip
        self._server = server
        self._sock = sock
        self._fd = sock.fileno()
        self._parser = RequestParser(self, server.limits)
        self._exchanges: deque[Exchange] = deque()
        self._unsent = b""
        self._held_bytes = 0
        self._retire_at = now + server.limits.connection_age_seconds
        self._quiet_since = now  # last input or output
        self._linger_until = 0.0
        self._reading = False
        self._writing = False
        self._stopped = False  # takes no more requests
        self._polite = False  # lingers before it closes
        self._ended = False  # the client has sent all it will
        self._closed = False

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
            self._quiet_since = time.monotonic()
            try:
                self._parser.feed(buffer[:size])
                self._hold(self._parser.held_bytes)
            except EndOfRequests:
                self._stopped = self._polite = True
            except Problem as problem:
                self._refuse(problem)
        return self._watch_input()

    def begin(self, exchange: Exchange) -> None:
        """A request's head has come in: its answer has a place in the order from now on."""
        self._exchanges.append(exchange)

    def complete(self, exchange: Exchange, body: bytes) -> None:
        """All of a request has come in."""
        if not exchange.keep_alive:
            self._stopped = True
        if isinstance(exchange, PostExchange):
            try:
                self._server.take_post(exchange, body)
            except Problem as problem:
                self.answer(exchange, problem)
        elif isinstance(exchange, TornadoExchange):
            try:
                exchange.run(self._server.application, body)
            except HTTPInputError as error:
                self.answer(exchange, Problem(HTTPStatus.BAD_REQUEST, str(error)))

    def _hold(self, held: int) -> None:
        """Account for the body of a request that is still coming in. Raises Problem."""
        if held != self._held_bytes:
            self._server.receiving_bytes += held - self._held_bytes
            self._held_bytes = held
            if held and self._server.receiving_bytes > self._server.limits.receiving_bytes:
                raise unavailable("too many large requests are being received")

    def _end(self) -> None:
        """The client sends no more; it may still be waiting for answers."""
        self._ended = True
        if self._parser.exchange is not None and not self._stopped:
            self._exchanges.pop()  # cut off in the middle
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
        exchange = self._parser.exchange
        if exchange is None:
            exchange = Exchange(self, "1.1", keep_alive=False)
            self._exchanges.append(exchange)
        self._stopped = self._polite = True
        exchange.keep_alive = False
        exchange.output = b""  # in place of 100 Continue
        self.answer(exchange, problem)

    def check(self, now: float) -> None:
        """Close or refuse what has taken too long; called about once a second."""
        allowed = self._server.limits.request_seconds
        since = self._parser.receiving_since
        if self._linger_until:
            if now >= self._linger_until:
                self.close()
        elif self._unsent:
            if now - self._quiet_since > allowed:
                self.lose()
        elif since is not None:
            if now - since > allowed:
                detail = f"the request was not complete after {allowed:g} s"
                self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))
        elif not self._exchanges and now - self._quiet_since > self._quiet_allowed(now):
            self.close()

    def _quiet_allowed(self, now: float) -> float:
        """How long the connection may be idle."""
        allowed = self._server.limits.idle_seconds
        if self._server.draining:
            return min(allowed, DRAIN_QUIET_SECONDS)
        return min(allowed, QUIET_SECONDS) if now >= self._retire_at else allowed

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
        self._server.receiving_bytes -= self._held_bytes
        self._sock.close()
        self._exchanges.clear()
        self._server.loop.call_soon(self._parser.release)  # it may be parsing right now
        self._server.closed(self)
