"""What the parts of a connection need from each other, so that none of them knows the whole.

A parser tells `Requests` what it finds. A connection shares a `ServerState` with all others of its
server, and knows no server. `webhook.http.exchange.Owner` is what an exchange needs.
"""

import asyncio
from typing import Protocol

from tornado.httputil import HTTPServerConnectionDelegate

from webhook.http.exchange import Exchange, Owner
from webhook.http.limits import HttpLimits
from webhook.http.response import Responses
from webhook.problem import Problem

BUFFER_BYTES = 1 << 17


class Requests(Owner, Protocol):
    """Receives what a parser has found."""

    @property
    def stopped(self) -> bool:
        """Whether it takes no more requests."""

    def begin(self, exchange: Exchange) -> None:
        """A request's head is complete."""

    def complete(self, exchange: Exchange, body: bytes) -> None:
        """All of the request is."""


class ServerState:
    """What the connections of one server share."""

    def __init__(self, application: HTTPServerConnectionDelegate, limits: HttpLimits) -> None:
        self.application = application
        """It answers all requests but POSTs of events."""
        self.limits = limits
        self.responses = Responses()
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        """Shared input buffer: each connection consumes what it has read before another reads."""
        self.receiving_bytes = 0
        self.refused: dict[int, int] = {}
        """Requests refused before they were complete, by HTTP status."""
        self.draining = False
        self.loop: asyncio.AbstractEventLoop
        """Since the server has started."""

    def note_refusal(self, problem: Problem) -> None:
        """Count a request that was refused before it was complete."""
        self.refused[problem.status] = self.refused.get(problem.status, 0) + 1
