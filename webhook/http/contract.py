"""What the parts of a connection need from each other, so that none of them knows the whole.

A parser tells `Requests` what it finds. A connection shares a `ServerState` with all others of its
server, and knows no server. `webhook.http.exchange.Owner` is what an exchange needs.
"""

import asyncio
import logging
from typing import Protocol

from tornado.httputil import HTTPServerConnectionDelegate

from webhook.http.exchange import Exchange, Owner
from webhook.http.limits import HttpLimits
from webhook.http.notice import Notice
from webhook.http.response import Responses
from webhook.problem import Problem

log = logging.getLogger(__package__)

BUFFER_BYTES = 1 << 17
LOOK_SECONDS = 0.1  # between two looks for who lags, which may be thousands


class Requests(Owner, Protocol):
    """Receives what a parser has found."""

    @property
    def stopped(self) -> bool:
        """Whether it takes no more requests."""

    def begin(self, exchange: Exchange) -> None:
        """A request's head is complete."""

    def complete(self, exchange: Exchange, body: bytes) -> None:
        """All of the request is."""


class Laggard(Protocol):
    """A connection on which a request is being received."""

    @property
    def held_bytes(self) -> int:
        """Of that request."""

    def lags(self, now: float) -> bool:
        """Whether it has had time enough to come in."""

    def give_up_request(self) -> None:
        """Refuse it: others want its room."""


class ServerState:
    """What the connections of one server share."""

    def __init__(self, application: HTTPServerConnectionDelegate, limits: HttpLimits) -> None:
        self.application = application
        """It answers all requests but POSTs of events."""
        self.limits = limits
        self.responses = Responses()
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        """Shared input buffer: each connection consumes what it has read before another reads."""
        self.receiving: set[Laggard] = set()
        """Connections in the middle of a request."""
        self.receiving_bytes = 0
        self.refused: dict[int, int] = {}
        """Requests refused before they were complete, by HTTP status."""
        self.gave_way = {"bytes": 0, "connections": 0}
        """Requests and connections given up for others at a limit."""
        self.failed_handshakes = 0
        self.draining = False
        self.loop: asyncio.AbstractEventLoop
        """Since the server has started."""
        self._looked_at = 0.0
        self._notice = Notice(
            log,
            "requests of %d bytes are being received, which is as much as may be "
            "(WEBHOOK_MAX_HELD_BYTES): those that lag, then new ones, are refused",
        )

    def make_room(self, now: float) -> bool:
        """Give up what lags, the largest first, if too much is being received; whether it is not.

        Some more is given up than is needed, so that one look serves those who come next.
        """
        most = self.limits.receiving_bytes
        if self.receiving_bytes <= most:
            return True
        self._notice.say(now, most)
        if now >= self._looked_at + LOOK_SECONDS:
            self._looked_at = now
            lagging = [one for one in self.receiving if one.lags(now)]
            for one in sorted(lagging, key=lambda one: one.held_bytes, reverse=True):
                if self.receiving_bytes <= most - most // 4:
                    break
                self.gave_way["bytes"] += 1
                one.give_up_request()
        return self.receiving_bytes <= most

    def note_failed_handshake(self) -> None:
        """Count a client with which TLS could not begin."""
        self.failed_handshakes += 1

    def note_refusal(self, problem: Problem) -> None:
        """Count a request that was refused before it was complete."""
        self.refused[problem.status] = self.refused.get(problem.status, 0) + 1
