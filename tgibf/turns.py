"""Whose turn it is: each endpoint after the other, without those that don't answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from tgibf.target import Endpoint

SILENT_SECONDS = 2.0
"""An endpoint that is asked, and answers nothing for so long, is left out."""
RETRY_SECONDS = 1.0
"""How often one POST is tried at an endpoint that is left out."""


@dataclass(slots=True)
class _State:
    """What is known of an endpoint."""

    unanswered: int = 0
    heard_at: float = 0.0
    """When it answered last, or was asked if nothing had been unanswered then."""
    retry_at: float | None = None
    """When it is asked again, if it is left out."""


class Turns:
    """Endpoints in turns.

    With `failover` one is left out if its connections fail, or if it answers nothing for
    `SILENT_SECONDS`: one POST per second goes there, until one is answered. If none answers, all
    take turns again.
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
        self._states = {endpoint: _State() for endpoint in endpoints}

    def take(self) -> Endpoint:
        """The next; `settle` must be told how its POST ended."""
        endpoint = self._next()
        if not self._failover:
            return endpoint
        now = self._now()
        chosen = endpoint
        for _ in self._endpoints:
            if self._may_be_asked(self._states[endpoint], now):
                chosen = endpoint
                break
            endpoint = self._next()
        state = self._states[chosen]
        if state.unanswered == 0:
            state.heard_at = now
        state.unanswered += 1
        return chosen

    def settle(self, endpoint: Endpoint, *, failed: bool) -> None:
        """Note how a POST to `endpoint` ended: whether its connection failed."""
        if not self._failover:
            return
        state, now = self._states[endpoint], self._now()
        state.unanswered -= 1
        if not failed:
            state.heard_at, state.retry_at = now, None
        elif state.retry_at is None:
            state.retry_at = now + RETRY_SECONDS

    def _may_be_asked(self, state: _State, now: float) -> bool:
        if state.retry_at is None:
            if not state.unanswered or now <= state.heard_at + SILENT_SECONDS:
                return True
            state.retry_at = now
        if now < state.retry_at:
            return False
        state.retry_at = now + RETRY_SECONDS
        return True

    def _next(self) -> Endpoint:
        endpoint = self._endpoints[self._at]
        self._at = (self._at + 1) % len(self._endpoints)
        return endpoint
