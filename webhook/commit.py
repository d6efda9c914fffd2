"""Group commit: events that arrive while a write is in flight form the next write.

Everything else in the receiver relies on these rules:

1. A *submission* is what one POST brought. It is never split: its events are in one write, or in
   none.
2. A *lane* has at most one write in flight. While it runs, submissions queue up. When it returns,
   the lane takes all that wait, up to a bound, as its next write; if the store keeps spans of time
   apart (`group_seconds`), only those of the oldest one's span. So writes grow with the load, and
   all events of a write share its fixed cost (a sync of the disk, a round trip). Before it takes
   them, a lane lets in what has already arrived at the sockets: it gives the event loop up to
   `GATHERING_TURNS`, as long as each brings more and fewer than `GATHERED` submissions wait. An
   event that comes alone and finds its lane idle waits for nobody.
3. Every accepted submission is settled exactly once, with one of three outcomes: STORED, after the
   store has confirmed it; REFUSED, if none of it is in the store; UNKNOWN, if nobody can tell.
4. What waits in the queue or is in flight is bounded in events and in bytes. Beyond the bound
   `submit` refuses at once. It never blocks, and nothing is dropped.
5. Nobody waits forever. A submission still in the queue after `answer_seconds` is REFUSED and is
   never written afterwards. One in flight by then is UNKNOWN: its write continues, its lane is busy
   until it ends, and its events may yet be stored.

Beware: after rule 5 a slow write may still succeed, so a client must never be told UNKNOWN as a
failure. And a lane whose write hangs holds its events: they count against the bound.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Generic, Protocol, TypeVar

from webhook.clock import MICROSECONDS
from webhook.events import Event
from webhook.peaks import Peak
from webhook.store.contract import OutcomeUnknown, Store, StoreUnavailable

log = logging.getLogger(__name__)

GATHERING_TURNS = 3
GATHERED = 128
"""Submissions among which a write's fixed cost is little."""


class Outcome(Enum):
    STORED = "stored"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Submission(Protocol):
    """What one POST brought: at least one event."""

    events: list[Event]
    size: int
    """Bytes that the submission holds."""
    submitted_at: float
    """When it was submitted, in monotonic seconds."""


S = TypeVar("S", bound=Submission)


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """The bounds of rules 2, 4 and 5."""

    held_events: int
    held_bytes: int
    write_events: int
    write_bytes: int
    answer_seconds: float


@dataclass(slots=True, eq=False)
class Write(Generic[S]):
    """A write in flight, or one that has just ended."""

    submissions: list[S]
    events: list[Event]
    size: int
    began_at: float
    settled: bool = False


@dataclass(slots=True)
class CommitFigures:
    """What the commit path has done so far; counts of events unless said otherwise."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    queue_full: int = 0
    writes: int = 0


class GroupCommit(Generic[S]):
    """Carries submissions to the store in groups.

    `settle(submissions, outcome)` is called on the event loop when submissions are settled;
    `wrote(events, seconds)` when a write has returned, whatever its outcome; then
    `ended(submissions, outcome)`, for who wants to know what became of what rule 5 made UNKNOWN.
    """

    def __init__(
        self,
        store: Store,
        limits: CommitLimits,
        settle: Callable[[Sequence[S], Outcome], None],
        wrote: Callable[[int, float], None] = lambda _events, _seconds: None,
        ended: Callable[[Sequence[S], Outcome], None] | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._settle_submissions = settle
        self._wrote = wrote
        self._ended = ended
        self._queue: deque[S] = deque()
        self._writes: set[Write[S]] = set()
        self._lanes: list[asyncio.Task[None]] = []
        self._idle: deque[asyncio.Future[None]] = deque()
        self._stopping = False
        self.held_events = 0
        self.held_bytes = 0
        self._most_held = Peak()
        self.figures = CommitFigures()

    def start(self) -> None:
        """Open the lanes and begin to watch the time."""
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(self._store.lanes)]
        self._lanes.append(asyncio.create_task(self._watch()))

    def submit(self, submission: S) -> bool:
        """Take `submission`, to be settled later; False if there is no room (rule 4), or a stop."""
        events = len(submission.events)
        if (
            self._stopping
            or self.held_events + events > self._limits.held_events
            or self.held_bytes + submission.size > self._limits.held_bytes
        ):
            self.figures.queue_full += events
            return False
        self.held_events += events
        self.held_bytes += submission.size
        self._queue.append(submission)
        if self._idle:
            self._idle.popleft().set_result(None)
        return True

    def most_held_events(self, now: float) -> int:
        """The most of `held_events` in the last 15 s until `now` (monotonic seconds)."""
        return max(int(self._most_held.highest(now)), self.held_events)

    @property
    def hangs(self) -> bool:
        """Whether a write has been in flight for longer than anybody waits for its answer."""
        too_old = time.monotonic() - self._limits.answer_seconds
        return any(write.began_at < too_old for write in self._writes)

    async def broken(self) -> None:
        """Return if a lane or the watch has ended, which only a fault in this program does."""
        done, _ = await asyncio.wait(self._lanes, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Close the lanes. What is still held then is settled: queued REFUSED, written UNKNOWN."""
        self._stopping = True  # what comes in the turns that this takes would wake closed lanes
        for task in self._lanes:
            task.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._refuse(len(self._queue))
        for write in self._writes:
            self._settle(write, Outcome.UNKNOWN)

    async def _lane(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                waiter = loop.create_future()
                self._idle.append(waiter)
                await waiter
            await self._gather()
            if not self._queue:  # another lane has taken all of it
                continue
            write = self._next_write()
            self._writes.add(write)
            outcome = await self._outcome(write)
            self._writes.discard(write)
            self._release(len(write.events), write.size)
            self.figures.writes += 1
            self._wrote(len(write.events), time.monotonic() - write.began_at)
            self._settle(write, outcome)
            if self._ended is not None:
                self._ended(write.submissions, outcome)

    async def _gather(self) -> None:
        """Let in what can be read already (rule 2)."""
        for _ in range(GATHERING_TURNS):
            waiting = len(self._queue)
            if waiting >= GATHERED:
                return
            await asyncio.sleep(0)
            if len(self._queue) <= waiting:
                return

    def _next_write(self) -> Write[S]:
        """Take what fits into one write from the queue: at least one submission."""
        queue, limits = self._queue, self._limits
        submissions: list[S] = []
        events: list[Event] = []
        size = 0
        span_end = self._span_end(queue[0].events[0].received_at)
        while queue and (
            not submissions
            or (
                len(events) + len(queue[0].events) <= limits.write_events
                and size + queue[0].size <= limits.write_bytes
                and queue[0].events[0].received_at < span_end
            )
        ):
            submission = queue.popleft()
            submissions.append(submission)
            events += submission.events
            size += submission.size
        return Write(submissions, events, size, time.monotonic())

    def _span_end(self, received_at: int) -> float:
        """The first microsecond that is not of the same span of time."""
        span = self._store.group_seconds * MICROSECONDS
        return (received_at // span + 1) * span if span else inf

    async def _outcome(self, write: Write[S]) -> Outcome:
        try:
            await self._store.write(write.events)
        except StoreUnavailable:
            return Outcome.REFUSED
        except OutcomeUnknown:
            return Outcome.UNKNOWN
        except Exception:
            log.exception("a write of %d events ended in an unexpected error", len(write.events))
            return Outcome.UNKNOWN
        return Outcome.STORED

    def _settle(self, write: Write[S], outcome: Outcome) -> None:
        if not write.settled:
            write.settled = True
            self._tell(write.submissions, len(write.events), outcome)

    def _tell(self, submissions: Sequence[S], events: int, outcome: Outcome) -> None:
        """Settle; what the callback raises is its own fault, and must not end the lane."""
        self.figures.outcomes[outcome] += events
        try:
            self._settle_submissions(submissions, outcome)
        except Exception:
            log.exception("telling %d submissions that they are %s", len(submissions), outcome)

    def _release(self, events: int, size: int) -> None:
        self._most_held.note(self.held_events, time.monotonic())  # it falls nowhere else
        self.held_events -= events
        self.held_bytes -= size

    async def _watch(self) -> None:
        """Rule 5."""
        while True:
            await asyncio.sleep(self._limits.answer_seconds / 20)
            too_old = time.monotonic() - self._limits.answer_seconds
            late = 0
            for submission in self._queue:
                if submission.submitted_at > too_old:
                    break
                late += 1
            self._refuse(late)
            for write in self._writes:
                if write.submissions[0].submitted_at <= too_old:
                    self._settle(write, Outcome.UNKNOWN)

    def _refuse(self, count: int) -> None:
        """Settle the `count` oldest submissions of the queue as REFUSED."""
        if count:
            refused = [self._queue.popleft() for _ in range(count)]
            events = sum(len(submission.events) for submission in refused)
            self._release(events, sum(submission.size for submission in refused))
            self._tell(refused, events, Outcome.REFUSED)
