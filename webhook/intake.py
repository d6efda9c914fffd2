"""From the body of a `POST /events` to its answer: the path that this product exists for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from webhook.admission import Admission
from webhook.clock import ReceiptClock
from webhook.commit import CommitLimits, GroupCommit, Outcome
from webhook.events import parse
from webhook.http.exchange import PostExchange
from webhook.peaks import BusiestSecond
from webhook.problem import Problem, unavailable
from webhook.store.contract import Store

_PROBLEMS = {
    Outcome.STORED: None,
    Outcome.REFUSED: unavailable("the store can't take events at the moment; send them again"),
    Outcome.UNKNOWN: unavailable(
        "a write had begun and its outcome is not known: the events may or may not be stored",
        stored="unknown",
    ),
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
    ) -> None:
        self._clock = clock
        self._admission = admission
        self._max_array_events = max_array_events
        self._answer = answer
        self.figures = IntakeFigures()
        self.offered = BusiestSecond()
        """Of valid events, whatever became of them."""
        self.commit: GroupCommit[PostExchange] = GroupCommit(store, limits, self._settled, wrote)

    def take(self, exchange: PostExchange, body: bytes) -> None:
        """Take a POST, to be answered when it is settled. Raises Problem if it is not taken."""
        self.figures.posts += 1
        now = time.monotonic()
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

    def _settled(self, exchanges: Sequence[PostExchange], outcome: Outcome) -> None:
        self._answer(exchanges, _PROBLEMS[outcome])
