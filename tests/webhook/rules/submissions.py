"""What happens to submissions under a schedule, from the moment they come to the last answer."""

import asyncio
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

import webhook.commit
from tests.support.virtual_time import VirtualClock, run
from tests.webhook.rules.scripted_store import Act, End, Flight, ScriptedStore
from webhook.commit import CommitLimits, GroupCommit, Outcome
from webhook.events import Event

ANSWER_SECONDS = 4.0
LATEST_SECONDS = ANSWER_SECONDS * 1.05 + 1e-6  # the watch looks twenty times in that time
HELD = 40  # events
HELD_BYTES = 2500
WRITE_EVENTS = 9
WRITE_BYTES = 700
LIMITS = CommitLimits(HELD, HELD_BYTES, WRITE_EVENTS, WRITE_BYTES, ANSWER_SECONDS)


@dataclass(eq=False)
class Post:
    """A submission, and what became of it.

    `came` and `settled` are places in the order of all things.
    """

    events: list[Event]
    size: int
    submitted_at: float
    came: int
    taken: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    settled: float = math.inf
    settled_at: float = math.inf
    flight: Flight | None = None

    @property
    def left(self) -> float:
        """Its place as it left the queue."""
        return self.settled if self.flight is None else self.flight.began

    @property
    def left_at(self) -> float:
        """When that was."""
        return self.settled_at if self.flight is None else self.flight.began_at


@dataclass(frozen=True)
class Step:
    """A pause, and then a submission."""

    pause: float
    events: int
    size: int


@dataclass(frozen=True)
class Schedule:
    """Who submits when, how the store fares, and how it ends."""

    lanes: int
    group_seconds: int
    steps: Sequence[Step]
    script: Sequence[Act]
    stop_after: float | None
    """Seconds from the last step to the stop; None for a stop when all is quiet."""
    deaf: frozenset[int] = frozenset()
    """Calls of `settle`, by number, that raise an error."""


ENDS = st.sampled_from([End.STORED] * 3 + [End.REFUSED, End.UNKNOWN, End.BROKEN])
SECONDS = st.sampled_from([0.0, 0.01, 0.4, 3.9, 4.0, 4.1]) | st.floats(0, 10) | st.just(1e4)
ACTS = st.builds(Act, ENDS, SECONDS)
STOPS = st.none() | st.floats(0, 5) | st.just(0.0)
DEAF = st.frozensets(st.integers(0, 5), max_size=2)
ANY = st.builds(
    Schedule,
    lanes=st.integers(1, 3),
    group_seconds=st.sampled_from([0, 1, 2]),
    steps=st.lists(
        st.builds(
            Step,
            st.sampled_from([0.0] * 6 + [0.001, 0.01, 0.3]) | st.floats(0, 6),
            st.integers(1, 12),
            st.integers(10, 900),
        ),
        min_size=1,
        max_size=30,
    ),
    script=st.lists(ACTS, max_size=12),
    stop_after=STOPS,
    deaf=DEAF,
)
CROWDS = st.builds(
    lambda first, rest, **others: Schedule(1, script=[first, *rest], **others),
    first=st.builds(Act, ENDS, st.floats(2, 3.9)),
    rest=st.lists(ACTS, max_size=6),
    group_seconds=st.sampled_from([0, 0, 1, 2]),
    steps=st.lists(
        st.builds(
            Step,
            st.sampled_from([0.0] * 8 + [0.05, 0.4, 1.0]),
            st.integers(1, 5),
            st.sampled_from([10, 50, 100, 200, 350]),
        ),
        min_size=4,
        max_size=25,
    ),
    stop_after=STOPS,
    deaf=DEAF,
)
"""Many come during a long first write."""

SCHEDULES = ANY | CROWDS


class History:
    """Plays a schedule, and holds what happened."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.posts: list[Post] = []
        self.said: list[tuple[bool, bool]] = []
        """Of each submission, whether there was room for it and whether it was taken."""
        self.wrote: list[tuple[int, float]] = []
        self.held: list[tuple[int, int, int, int]] = []
        """Events and bytes held, as it is said and as it should be."""
        self.hung: list[tuple[bool, bool]] = []
        """Whether a write hangs, as it is said and as it is."""
        self.stopped_at = math.inf
        self._clock = VirtualClock()
        self._places = itertools.count()
        self._tellings = itertools.count()
        self._events = 0
        self._bytes = 0
        self.store = ScriptedStore(
            schedule.lanes,
            schedule.group_seconds,
            schedule.script,
            self.tick,
            self._clock.monotonic,
            self._landed,
        )
        self.commit: GroupCommit[Post] = GroupCommit(
            self.store, LIMITS, self._settle, lambda *one: self.wrote.append(one)
        )
        run(self._play(), self._clock, [webhook.commit])

    @property
    def flights(self) -> list[Flight]:
        return self.store.flights

    @property
    def taken(self) -> list[Post]:
        return [post for post in self.posts if post.taken]

    def posts_of(self, flight: Flight) -> list[Post]:
        """Whose events it holds, in their order."""
        return list(dict.fromkeys(self._owner(event) for event in flight.events))

    def left_waiting(self, flight: Flight) -> list[Post]:
        """Who was in the queue when `flight` had taken what it takes, the first first."""
        return [post for post in self.taken if post.came < flight.began < post.left]

    def tick(self) -> int:
        return next(self._places)

    async def _play(self) -> None:
        self.commit.start()
        for step in self.schedule.steps:
            if step.pause:
                await asyncio.sleep(step.pause)
            self._submit(step)
            if step.size % 3 == 0:  # some come in the same turn, others in the next
                await asyncio.sleep(0)
            self._look()
        if self.schedule.stop_after is None:
            await asyncio.sleep(LATEST_SECONDS)
            self._look()
        else:
            await asyncio.sleep(self.schedule.stop_after)
        self.stopped_at = self._clock.monotonic()
        await self.commit.stop()
        await asyncio.sleep(10)
        for flight in self.flights:
            for post in self.posts_of(flight):
                post.flight = flight

    def _submit(self, step: Step) -> None:
        received_at = self._clock.time_ns() // 1000
        number = len(self.posts)
        events = [Event(received_at, "a", None, f"{number}.{i}") for i in range(step.events)]
        post = Post(events, step.size, self._clock.monotonic(), self.tick())
        room = self._events + step.events <= HELD and self._bytes + step.size <= HELD_BYTES
        self.posts.append(post)
        post.taken = self.commit.submit(post)
        self.said.append((room, post.taken))
        if post.taken:
            self._hold(1, post)

    def _look(self) -> None:
        now = self._clock.monotonic()
        self.held.append(
            (self.commit.held_events, self._events, self.commit.held_bytes, self._bytes)
        )
        old = now - ANSWER_SECONDS
        in_flight = [flight for flight in self.flights if flight.end is None]
        self.hung.append((self.commit.hangs, any(one.began_at < old for one in in_flight)))

    def _landed(self, flight: Flight) -> None:
        for post in self.posts_of(flight):
            self._hold(-1, post)

    def _settle(self, posts: Sequence[Post], outcome: Outcome) -> None:
        flying = {post for flight in self.flights for post in self.posts_of(flight)}
        for post in posts:
            post.outcomes.append(outcome)
            post.settled, post.settled_at = self.tick(), self._clock.monotonic()
            if post not in flying:
                self._hold(-1, post)
        if next(self._tellings) in self.schedule.deaf:
            raise ValueError("a fault of whoever is told")

    def _hold(self, sign: int, post: Post) -> None:
        self._events += sign * len(post.events)
        self._bytes += sign * post.size

    def _owner(self, event: Event) -> Post:
        return self.posts[int(event.body.partition(".")[0])]
