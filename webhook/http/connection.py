"""One connection: which answers it owes, and how it ends.

Answers leave in the order of the requests (pipelining), whatever order they are ready in.

The life of a connection: it reads until it must not serve another request (`_stopped`: the client
or we said close, or the input is malformed), sends the answers it owes, and is closed. If the
client may still be sending, it lingers: it sends a FIN at once and discards what arrives for a
moment. Closing a socket with unread input would reset it and destroy the answer.

A connection is never closed while a request may be on its way. Whether because of its age or a
drain, a kept-alive connection ends with an answer that says `Connection: close`. Without any
request it ends when it has been idle for `idle_seconds`, or with the drain. Before its first
request it ends when that has not begun within `request_seconds`.

At a limit, what is of no use makes room: a silent, idle or lagging connection for a new one, and a
lagging request for one that does not lag.
"""

import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from tornado.httputil import HTTPInputError

from webhook.http.contract import ServerState
from webhook.http.exchange import Exchange, PostExchange, TornadoExchange
from webhook.http.parser import EndOfRequests, RequestParser
from webhook.http.response import connection_header
from webhook.problem import Problem, unavailable

log = logging.getLogger(__name__)

PIPELINED = 64  # unanswered requests on one connection before it takes no more
UNSENT_BYTES = 1 << 18  # unsent output before it takes no more
SLICE_BYTES = 1 << 12  # of input between two looks at those bounds
REQUESTS_A_TURN = 64  # then other connections get theirs
UNANSWERED_SECONDS = 60.0  # longer than any request takes
LINGER_SECONDS = 2.0
LAG_SECONDS = 1.0  # a request that takes longer may be given up for others, as may a silence
SPARED_SECONDS = 5.0  # a connection that was of use may be closed for others after such a silence
DISTANCE_SECONDS = 2.0  # an idle connection is closed so much later: a request may be on its way


class Socket(Protocol):
    """What a connection uses of a socket that never blocks."""

    def fileno(self) -> int: ...

    def recv_into(self, buffer: memoryview, /) -> int: ...

    def send(self, data: bytes | bytearray, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Connection:
    """Reads, answers and closes one accepted, non-blocking socket.

    POSTs of events go to `take_post(exchange, body)`, which answers now or later through the
    exchange's connection, or raises Problem. `on_closed` is called when it has closed.
    """

    def __init__(
        self,
        state: ServerState,
        sock: Socket,
        remote_ip: str,
        take_post: Callable[[PostExchange, bytes], None],
        on_closed: Callable[["Connection"], None],
    ) -> None:
        now = time.monotonic()
        self.remote_ip = remote_ip
        self._state = state
        self._take_post = take_post
        self._on_closed = on_closed
        self._sock = sock
        self._fd = sock.fileno()
        self._parser = RequestParser(self, state.limits)
        self._exchanges: deque[Exchange] = deque()
        self._unsent = bytearray()
        self._untaken = b""  # input that had no room yet
        self.held_bytes = 0
        """What has come in of a request, and what had no room yet."""
        self._opened_at = now
        self._retire_at = now + state.limits.connection_age_seconds
        self._quiet_since = now  # last input or output
        self._linger_until = self._lingers_at_most = 0.0
        self._reading = False
        self._writing = False
        self._stopped = False  # takes no more requests
        self._polite = False  # lingers before it closes
        self._ended = False  # the client sends nothing more
        self._closed = False

    @property
    def stopped(self) -> bool:
        """Whether it takes no more requests."""
        return self._stopped

    # Input

    def readable(self) -> None:
        """Read once, and do what the input asks for."""
        buffer = self._state.buffer
        try:
            size = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return self._watch_input()
        except OSError:
            return self.lose()
        if not size:
            return self._end()
        now = time.monotonic()
        if self._linger_until:
            self._linger_until = min(now + LINGER_SECONDS, self._lingers_at_most)
            return None
        self._quiet_since = now
        self._take(buffer[:size])
        if not self._closed and self._parser.receiving_since is not None:
            # What ends it may be there: uvloop tells of data and of a reset at once, and then
            # never again.
            self._state.loop.call_soon(self._read_on)
        return None

    def _read_on(self) -> None:
        if self._reading and not self._closed:
            self.readable()

    def _take(self, data: memoryview) -> None:
        """Parse `data`, as far as there is room for answers, and for one turn at most."""
        turn_ends = self._parser.requests + REQUESTS_A_TURN
        position = 0
        try:
            while position < len(data) and self._has_room() and self._parser.requests < turn_ends:
                self._parser.feed(data[position : position + SLICE_BYTES])
                position += SLICE_BYTES
            if not self._stopped:
                self._untaken = bytes(data[position:])
            self._hold(self._parser.held_bytes + len(self._untaken))
        except EndOfRequests:
            self._stopped = self._polite = True
        except Problem as problem:
            self._refuse(problem)
        except Exception:
            log.exception("closing a connection after an error")
            return self.lose()
        if self._stopped:
            self._untaken = b""
        if self._untaken and self._has_room():
            self._state.loop.call_soon(self._take_on)
        return self._settle()

    def _take_on(self) -> None:
        """Continue with input that had no room before."""
        data, self._untaken = self._untaken, b""
        if data and not self._closed:
            self._take(memoryview(data))

    def _has_room(self) -> bool:
        """Whether another request may be taken now."""
        return (
            not self._stopped
            and len(self._exchanges) < PIPELINED
            and len(self._unsent) < UNSENT_BYTES
        )

    def begin(self, exchange: Exchange) -> None:
        """A request's head has come in: its answer has a place in the order from now on."""
        self._exchanges.append(exchange)

    def complete(self, exchange: Exchange, body: bytes) -> None:
        """All of a request has come in."""
        if not exchange.keep_alive:
            self._stopped = True
        try:
            if isinstance(exchange, PostExchange):
                self._take_post(exchange, body)
                exchange.raw_headers = ()  # many may wait to be stored, and theirs need not
            elif isinstance(exchange, TornadoExchange):
                exchange.run(self._state.application, body)
        except Problem as problem:
            self.answer(exchange, problem)
        except (HTTPInputError, ValueError) as error:  # Tornado's own, of Host or a cookie
            # For HEAD, too, the answer has a body: nothing may come after it.
            malformed = Problem(HTTPStatus.BAD_REQUEST, f"malformed HTTP request: {error}")
            self._answer_last(exchange, malformed)
        except Exception:
            log.exception("a request could not be served")
            self.answer(
                exchange, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug in the receiver")
            )

    def _hold(self, held: int) -> None:
        """Account for what has come in and is no complete request yet. Raises Problem."""
        if held != self.held_bytes and not self._closed:
            state = self._state
            state.receiving_bytes += held - self.held_bytes
            self.held_bytes = held
            if not held:
                state.receiving.discard(self)
                return
            state.receiving.add(self)
            over = state.receiving_bytes > state.limits.receiving_bytes
            if over and not state.make_room(time.monotonic()):
                raise unavailable("too many large requests are being received")

    def _end(self) -> None:
        """The client sends no more; it may still be waiting for answers."""
        self._ended = True
        if self._parser.exchange is not None and not self._stopped:
            self._exchanges.pop()  # cut off in the middle
        self._stopped = True
        if self._linger_until:
            self.close()
        else:
            self._settle()

    def _settle(self) -> None:
        """Close if nothing is owed and nothing will be; else listen if that has a use."""
        if self._closed or self._linger_until:
            return
        if self._stopped and not (self._exchanges or self._unsent):
            self._finish()
        else:
            self._watch_input()

    def _watch_input(self) -> None:
        wanted = not self._ended and (
            bool(self._linger_until) or (self._has_room() and not self._untaken)
        )
        if wanted != self._reading and not self._closed:
            self._reading = wanted
            if wanted:
                self._state.loop.add_reader(self._fd, self.readable)
            else:
                self._state.loop.remove_reader(self._fd)

    # Output

    def may_keep_alive(self, exchange: Exchange) -> bool:
        """Whether the connection stays open after the answer to `exchange`.

        When we want to close, for age or because we are draining, we do so after the last request
        that was taken; from then on none is taken any more, so that none is stored unanswered.
        """
        if self._closed:
            return False
        if not exchange.keep_alive:
            if not self._stopped:  # so its answer has it: the client may be sending another one
                self._stopped = self._polite = True
            return False
        if exchange is not self._exchanges[-1]:
            return True
        if self._state.draining or time.monotonic() >= self._retire_at:
            self._stopped = self._polite = True
            return False
        return True

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
        exchange.keep_alive = self.may_keep_alive(exchange)
        connection = connection_header(exchange.version, exchange.keep_alive)
        if isinstance(answer, Problem):
            exchange.output += self._state.responses.problem(answer, connection)
        else:
            exchange.output += self._state.responses.accepted(answer, connection)
        exchange.done = True
        return len(self._exchanges) == 1

    def flush(self) -> None:
        """Send what is ready, in order."""
        if self._closed:
            return
        exchanges = self._exchanges
        while exchanges:
            first = exchanges[0]
            if first.output:
                self._send(first.output)
                first.output = b""
            if not first.done or self._closed:
                break
            exchanges.popleft()
        if self._untaken and self._has_room():
            self._state.loop.call_soon(self._take_on)
        self._settle()

    def _send(self, output: bytes) -> None:
        """Send `output` now if nothing is before it, else keep it in line."""
        if self._unsent or self._closed:
            self._unsent += output
            return
        sent = self._push(output)
        if sent < len(output):
            self._unsent += output[sent:]
            self._writing = True
            self._state.loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        """The client has read some: send on."""
        del self._unsent[: self._push(self._unsent)]
        if not self._unsent and not self._closed:
            self._writing = False
            self._state.loop.remove_writer(self._fd)
        self.flush()

    def _push(self, output: bytes | bytearray) -> int:
        """How many bytes of `output` the socket took."""
        try:
            sent = self._sock.send(output)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.lose()
            return len(output)
        self._quiet_since = time.monotonic()
        return sent

    # The end

    def _refuse(self, problem: Problem) -> None:
        """Answer a request that can't be served, and serve no other after it."""
        if self._stopped and self._parser.exchange is None:
            return
        exchange = self._parser.exchange
        if exchange is None:
            exchange = Exchange(self, "1.1", keep_alive=False)
            self._exchanges.append(exchange)
        exchange.output = b""  # in place of 100 Continue
        self._parser.forget()
        self._hold(self._parser.held_bytes)  # the room is there for others at once
        self._answer_last(exchange, problem)

    def _answer_last(self, exchange: Exchange, problem: Problem) -> None:
        """Answer a request that is malformed or can't be served, and close after that."""
        self._state.note_refusal(problem)
        self._stopped = self._polite = True
        exchange.keep_alive = False
        self.answer(exchange, problem)

    def check(self, now: float) -> None:
        """Close or refuse what has taken too long; the server calls it twice a second."""
        allowed = self._state.limits.request_seconds
        since = self._parser.receiving_since
        if since is not None and not self._reading:  # for lack of room: it can't continue
            self._parser.receiving_since = now
        if self._linger_until:
            if now >= self._linger_until:
                self.close()
        elif self._unsent:
            if now - self._quiet_since > allowed:
                self.lose()
        elif since is not None and not self._stopped and self._reading:
            if now - since > allowed:
                detail = f"the request was not complete after {allowed:g} s"
                self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))
        elif now - self._quiet_since > self._quiet_allowed() or self._is_silent(now):
            self.lose()

    def _is_silent(self, now: float) -> bool:
        """Whether no request has begun, for as long as a whole one may take."""
        if self._parser.requests or self._exchanges:
            return False
        return now - self._opened_at > self._state.limits.request_seconds

    def _quiet_allowed(self) -> float:
        """How long the connection may be quiet.

        Neither its age nor a drain makes that shorter: a request may be on its way, and a close
        would meet it. A connection that must end learns it with its next answer.
        """
        if self._exchanges:
            return UNANSWERED_SECONDS
        return self._state.limits.idle_seconds + DISTANCE_SECONDS

    def lags(self, now: float) -> bool:
        """Whether a request has been coming in for so long that it may be given up for others."""
        since = self._parser.receiving_since
        return since is not None and self._reading and now - since >= LAG_SECONDS

    def give_up_request(self) -> None:
        """Refuse the request that is being received: others want its room."""
        self._refuse(unavailable("the request lagged, and others wanted its room; send it again"))

    def spared_since(self, now: float) -> tuple[bool, float] | None:
        """Since when it has not been needed, with whether it had been; None if it is.

        In this order connections give way to new ones.
        """
        since, spared = self._quiet_since, LAG_SECONDS
        was_of_use = False
        if self._linger_until:
            since = self._linger_until - LINGER_SECONDS
        elif self._unsent:
            pass
        elif self._parser.receiving_since is not None:
            if not self._reading:
                return None
            since = self._parser.receiving_since
        elif self._exchanges:
            return None
        elif self._parser.requests:
            was_of_use, spared = True, SPARED_SECONDS
        else:
            since = self._opened_at
        return (was_of_use, since) if now - since >= spared else None

    def give_way(self, now: float) -> bool:
        """Close at once, for a new connection, if it still is not needed; whether it is closed."""
        if self._reading:
            self.readable()  # a request may have come
        if not self._closed and self.spared_since(now) is not None:
            if self._parser.receiving_since is not None and not self._stopped:
                self.give_up_request()
            self.lose()
        return self._closed

    def _finish(self) -> None:
        """All that was owed is sent: close, politely if the client may still be sending."""
        if self._polite and not self._ended:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                return self.close()
            now = time.monotonic()
            self._linger_until = now + LINGER_SECONDS
            self._lingers_at_most = now + self._state.limits.request_seconds
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
        self._closed = self._stopped = True
        if self._reading:
            self._reading = False
            self._state.loop.remove_reader(self._fd)
        if self._writing:
            self._state.loop.remove_writer(self._fd)
        self._state.receiving_bytes -= self.held_bytes
        self._state.receiving.discard(self)
        self._sock.close()
        self._exchanges.clear()
        self._state.loop.call_soon(self._parser.release)  # it may be parsing right now
        self._on_closed(self)
