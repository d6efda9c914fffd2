"""From the body of a `POST /events` to its answer: the product's main path."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from webhook.access import Access
from webhook.admission import Admission
from webhook.clock import ReceiptClock
from webhook.commit import CommitLimits, GroupCommit, Outcome
from webhook.events import parse
from webhook.http.exchange import PostExchange
from webhook.peaks import BusiestSecond
from webhook.problem import Problem, unavailable
from webhook.replay import Replays
from webhook.store.contract import Store


def _unknown() -> Problem:
    """Another one each time: one that is raised again and again keeps every place of it."""
    return unavailable(
        "a write had begun and its outcome is not known: the events may or may not be stored",
        stored="unknown",
    )


_PROBLEMS = {
    Outcome.STORED: None,
    Outcome.REFUSED: unavailable("the store can't take events at the moment; send them again"),
    Outcome.UNKNOWN: _unknown(),
}


@dataclass(slots=True)
class IntakeFigures:
    """What came in. Counts of requests, but for `over_limit`, which counts events."""

    posts: int = 0
    invalid: dict[int, int] = field(default_factory=dict)
    """By HTTP status."""
    over_limit: int = 0


class Intake:
    """Parses, admits and submits; answers when the commit path has settled.

    `answer(exchanges, problem)` sends the answers: the problem, or 200 where it is None.
    """

    def __init__(
        self,
        store: Store,
        clock: ReceiptClock,
        admission: Admission,
        limits: CommitLimits,
        max_array_events: int,
        answer: Callable[[Sequence[PostExchange], Problem | None], None],
        wrote: Callable[[int, float], None],
        access: Access | None = None,
    ) -> None:
        self._access = access
        self._clock = clock
        self._admission = admission
        self._max_array_events = max_array_events
        self._answer = answer
        self.figures = IntakeFigures()
        self.offered = BusiestSecond()
        """Of valid events, whatever became of them."""
        ended = None if access is None else self._ended
        self.commit: GroupCommit[PostExchange] = GroupCommit(
            store, limits, self._settled, wrote, ended
        )

    def take(self, exchange: PostExchange, body: bytes) -> None:
        """Take a POST, to be answered when it is settled. Raises Problem if it is not taken."""
        self.figures.posts += 1
        now = time.monotonic()
        if self._access is not None and self._comes_again(self._access, exchange, body, now):
            return
        try:
            exchange.events = parse(body, self._clock(), self._max_array_events)
        except Problem as problem:
            invalid = self.figures.invalid
            invalid[problem.status] = invalid.get(problem.status, 0) + 1
            raise
        exchange.size = len(body)
        exchange.submitted_at = now
        events = len(exchange.events)
        self.offered.add(events, now)
        if not self._admission.admit(events, now):
            self.figures.over_limit += events
            raise unavailable(
                f"more than {self._admission.rate} events/s came in; send them again later"
            )
        if not self.commit.submit(exchange):
            raise unavailable("too many events are waiting to be stored; send them again later")
        if self._access is not None and exchange.key is not None:
            self._access.replays.begin(exchange.key)

    def _comes_again(self, access: Access, exchange: PostExchange, body: bytes, now: float) -> bool:
        """Whether a signed POST is answered as it was before, or will be. Raises Problem."""
        exchange.key = key = access.verify(exchange, body)
        if key is None:
            return False
        if events := access.replays.stored(key):
            exchange.connection.prepare(exchange, events)
            exchange.connection.flush()
            return True
        if access.replays.is_open(key):
            raise _unknown()  # its write is still in flight, and may store it
        exchange.submitted_at = now
        return access.replays.wait(key, exchange)

    def _settled(self, exchanges: Sequence[PostExchange], outcome: Outcome) -> None:
        self._answer(exchanges, _PROBLEMS[outcome])
        if self._access is not None:
            self._settle_signed(self._access.replays, exchanges, outcome)

    def _settle_signed(
        self, replays: Replays, exchanges: Sequence[PostExchange], outcome: Outcome
    ) -> None:
        """Remember what was stored, and answer who has sent the same meanwhile."""
        for exchange in exchanges:
            if exchange.key is None:
                continue
            events = len(exchange.events) if outcome is Outcome.STORED else 0
            again = replays.settle(exchange.key, events, known=outcome is not Outcome.UNKNOWN)
            for one in again:
                one.events = exchange.events
            if again:
                self._answer(again, _PROBLEMS[outcome])

    def _ended(self, exchanges: Sequence[PostExchange], outcome: Outcome) -> None:
        """Now it is known, if it ever will be, what became of those whose senders were not told."""
        if self._access is not None:
            for exchange in exchanges:
                if exchange.key is not None:
                    events = len(exchange.events) if outcome is Outcome.STORED else 0
                    self._access.replays.end(exchange.key, events)
