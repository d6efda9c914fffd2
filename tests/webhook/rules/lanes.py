"""Receivers that write to a ring in memory, and what came of it."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

import webhook.store.cassandra.lane
import webhook.store.cassandra.patience
from tests.support.virtual_time import BEGIN, SKEW, VirtualClock, run
from tests.webhook.rules.model_ring import WRITER, Fate, ModelRing, Turn
from webhook.clock import ReceiptClock
from webhook.commit import Outcome
from webhook.events import Event
from webhook.store.cassandra.lane import Lane
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

RETENTION = 7 * 24 * 3600
WRITE_SECONDS = 10.0
REPEAT_SECONDS = 30.0
LATEST_SECONDS = 200.0  # within which all that is late is applied
FIRST_MINUTE = BEGIN // 60


@dataclass(frozen=True)
class Step:
    """A write of some events."""

    pause: float
    """Seconds since the step before."""
    waited: float
    """Seconds since its events were received."""
    events: int
    clock: float = 0.0
    """By how many seconds the wall clock is set before."""


@dataclass(frozen=True)
class Schedule:
    """What is written when, from some second of a minute on, and how the ring fares."""

    second: float
    steps: Sequence[Step]
    script: Sequence[Turn]


@dataclass(eq=False)
class Write:
    """A batch and its outcome."""

    events: list[Event]
    lane: int
    """Which of its writer's."""
    outcome: Outcome | None = None
    ended_at: float = 0.0

    @property
    def bodies(self) -> list[str]:
        return [event.body for event in self.events]


@dataclass(eq=False)
class Writer:
    """A receiver with one lane at a time, as the store has several.

    A lane whose write ended as unknown is not used again, and repeats that write in the background.
    """

    ring: ModelRing
    number: int = 0
    skew: float = 0.0
    """By how many seconds its wall clock is ahead."""
    lanes: list[Lane] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    repeated: dict[int, bool] = field(default_factory=dict)
    """By lane: whether the write of unknown outcome was stored in the end."""

    def __post_init__(self) -> None:
        self._clock = ReceiptClock(self.ring.clock.time_ns)
        self._repeating: set[asyncio.Task[None]] = set()

    @property
    def lane(self) -> Lane:
        """The one that is used now."""
        if not self.lanes or self.lanes[-1].ended:
            self.lanes.append(Lane(self.ring, RETENTION, WRITE_SECONDS))
        WRITER.set(1000 * self.number + len(self.lanes) - 1)
        return self.lanes[-1]

    async def play(self, steps: Sequence[Step]) -> None:
        SKEW.set(self.skew)
        for step in steps:
            await asyncio.sleep(step.pause)
            if step.clock:
                self.ring.clock.set_wall(step.clock)
            await self.write(step)

    async def write(self, step: Step) -> None:
        received_at = self._clock() - round(step.waited * 1e6)
        minute = received_at // 60_000_000 * 60_000_000
        prefix = f"{self.number}.{len(self.writes)}"
        events = [
            Event(max(minute, received_at - 700_000 * index), "a", None, f"{prefix}.{index}")
            for index in range(step.events)
        ]
        lane = self.lane
        write = Write(events, len(self.lanes) - 1)
        self.writes.append(write)
        try:
            await lane.write(events)
            write.outcome = Outcome.STORED
        except StoreUnavailable:
            write.outcome = Outcome.REFUSED
        except OutcomeUnknown:
            write.outcome = Outcome.UNKNOWN
            self._repeating.add(asyncio.create_task(self._repeat(write.lane)))
        write.ended_at = self.ring.clock.monotonic()

    async def rest(self) -> None:
        """Until nothing is on its way any more."""
        await asyncio.gather(*self._repeating)
        await asyncio.sleep(LATEST_SECONDS)
        assert self.ring.late == 0

    async def seal(self) -> None:
        for number, lane in enumerate(self.lanes):
            WRITER.set(1000 * self.number + number)
            await lane.seal()

    async def _repeat(self, number: int) -> None:
        self.repeated[number] = await self.lanes[number].repeat(REPEAT_SECONDS)


FATES = st.sampled_from([Fate.STORED] * 4 + [Fate.UNHEARD, Fate.LOST, Fate.LATE, Fate.REFUSED])
TURNS = st.builds(
    Turn, FATES, st.sampled_from([0.002, 0.002, 0.4, 4.0]), st.sampled_from([0.1, 20.0, 150.0])
)
TROUBLE = st.builds(
    Turn,
    st.sampled_from([Fate.UNHEARD, Fate.LOST, Fate.LATE, Fate.LATE, Fate.REFUSED]),
    st.just(4.0),
    st.sampled_from([0.1, 20.0, 150.0]),
)
"""One after the other, for longer than a write is repeated."""

SCRIPTS = st.lists(TURNS, max_size=25) | st.builds(
    lambda before, trouble, after: [*before, *trouble, *after],
    st.lists(st.just(Turn(Fate.STORED)), max_size=6),
    st.lists(TROUBLE, min_size=4, max_size=14),
    st.lists(TURNS, max_size=10),
)
STEPS = st.builds(
    Step,
    st.sampled_from([0.0, 0.1, 1.0, 9.0, 30.0, 70.0]),
    st.sampled_from([0.0, 0.0, 0.0, 0.0, 5.0, 59.0, 100.0, 130.0]),
    st.integers(1, 5),
    st.sampled_from([0.0] * 6 + [-3.0, -90.0, 4.0]),
)
SCHEDULES = st.builds(
    Schedule,
    st.floats(0, 59.99),
    st.lists(STEPS, min_size=1, max_size=10),
    SCRIPTS,
)


def played(schedule: Schedule) -> Writer:
    """The writer after all of a schedule, with its last lane sealed, and all settled."""
    clock = VirtualClock(BEGIN + schedule.second)
    writer = Writer(ModelRing(clock, schedule.script))

    async def play() -> None:
        await writer.play(schedule.steps)
        await writer.seal()
        await writer.rest()

    run_with(play(), clock)
    return writer


def run_with(test: Coroutine[Any, Any, None], clock: VirtualClock) -> None:
    run(test, clock, [webhook.store.cassandra.lane, webhook.store.cassandra.patience])
