"""Whose turn it is: each endpoint after the other, less those that don't answer."""

from collections.abc import Callable, Sequence
from time import monotonic

from tgibf.target import Endpoint

RETRY_SECONDS = 1.0
"""How often one POST is tried at an endpoint that is left out."""


class Turns:
    """Endpoints in turns.

    With `failover` one whose connections fail, or that lets a POST time out, is left out: a POST a
    second goes there, until one is answered. Where none answers, all take turns again.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        failover: bool = False,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._endpoints = endpoints
        self._failover = failover and len(endpoints) > 1
        self._now = now
        self._at = 0
        self._retry_at: dict[Endpoint, float] = {}

    def take(self) -> Endpoint:
        """The next."""
        first = self._next()
        if not self._retry_at:
            return first
        now = self._now()
        endpoint = first
        for _ in self._endpoints:
            if endpoint not in self._retry_at:
                return endpoint
            if now >= self._retry_at[endpoint]:
                self._retry_at[endpoint] = now + RETRY_SECONDS
                return endpoint
            endpoint = self._next()
        return first

    def settle(self, endpoint: Endpoint, *, failed: bool) -> None:
        """Note how a POST to `endpoint` ended: whether its connection failed."""
        if failed and self._failover:
            self._retry_at.setdefault(endpoint, self._now() + RETRY_SECONDS)
        elif self._retry_at:
            self._retry_at.pop(endpoint, None)

    def _next(self) -> Endpoint:
        endpoint = self._endpoints[self._at]
        self._at = (self._at + 1) % len(self._endpoints)
        return endpoint
