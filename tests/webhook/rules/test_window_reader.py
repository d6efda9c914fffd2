"""A count is what is stored, to the event, and costs a few small reads."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import BEGIN, SKEW, VirtualClock
from tests.webhook.rules.examples import examples
from tests.webhook.rules.lanes import SCRIPTS, Step, Writer, run_with
from tests.webhook.rules.model_ring import Attempt, ModelRing, Turn
from webhook.clock import SKEW_SECONDS
from webhook.store.cassandra.lane import JOINED_SECONDS
from webhook.store.cassandra.window import WindowReader
from webhook.store.contract import StoreUnavailable

FIRST_MINUTE = BEGIN // 60
ALL = BEGIN - 180  # before anything is received


@dataclass(frozen=True)
class Receiver:
    """By how many seconds its clock is ahead, and what it writes."""

    skew: float
    steps: Sequence[Step]


@dataclass(frozen=True)
class Scene:
    """Receivers that write, one that counts, and how the ring fares."""

    second: float
    receivers: Sequence[Receiver]
    script: Sequence[Turn]
    reading: Sequence[float]
    """How long reads take, again and again; less than 0 for one that fails."""
    asks: Sequence[tuple[float, int]]
    """When it counts, in seconds since the last time, and how many seconds it counts."""
    skew: float
    """By how many seconds the clock of the one that counts is ahead."""


SKEWS = st.floats(-SKEW_SECONDS / 2 + 0.1, SKEW_SECONDS / 2 - 0.1)
STEPS = st.builds(
    Step,
    st.sampled_from([0.0, 0.3, 9.0, 30.0, 70.0]),
    st.sampled_from([0.0, 0.0, 0.0, 0.0, 5.0, 59.0, 100.0, 110.0]),
    st.integers(1, 4),
)
RECEIVERS = st.builds(Receiver, SKEWS, st.lists(STEPS, min_size=1, max_size=6))
SCENES = st.builds(
    Scene,
    st.floats(0, 59.99),
    st.lists(RECEIVERS, min_size=1, max_size=3),
    st.just([]) | SCRIPTS,
    st.lists(st.sampled_from([0.01, 0.01, 0.5, 3.0, -0.2]), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.05, 1.0, 20.0]), st.sampled_from([1, 100, 1800])),
        min_size=1,
        max_size=8,
    ),
    SKEWS,
)


class Count:
    """What a reader said, and what was stored as it began and as it had ended."""

    def __init__(self, ring: ModelRing, since: int) -> None:
        self.since = since
        self._ring = ring
        self._least = ring.stored(since)
        self._said: dict[int, int] | None = None

    async def read(self, reader: WindowReader) -> None:
        try:
            self._said = await reader.counts_since(self.since)
        except StoreUnavailable:
            return
        most = self._ring.stored(self.since)
        for second in {*self._least, *self._said, *most}:
            least = self._least.get(second, 0)
            assert least <= self._said.get(second, 0) <= most.get(second, 0)


async def count(ring: ModelRing, asks: Sequence[tuple[float, int]], reader: WindowReader) -> None:
    """Two at a time: the later one must not be wrong by what the other finds out meanwhile."""
    for pause, seconds in asks:
        await asyncio.sleep(pause)
        since = int(ring.clock.time()) - seconds
        await asyncio.gather(Count(ring, since).read(reader), Count(ring, ALL).read(reader))


async def play(scene: Scene, ring: ModelRing, reader: WindowReader) -> list[Writer]:
    """Until all is written and settled, and the lanes are left, sealed if they may be."""
    SKEW.set(scene.skew)
    counting = asyncio.create_task(count(ring, scene.asks, reader))
    writers = [Writer(ring, number, one.skew) for number, one in enumerate(scene.receivers)]
    await asyncio.gather(
        *(writer.play(one.steps) for writer, one in zip(writers, scene.receivers, strict=True))
    )
    await counting
    await asyncio.gather(*(writer.seal() for writer in writers))
    await asyncio.gather(*(writer.rest() for writer in writers))
    ring.reading = itertools.repeat(0.01)
    return writers


@given(SCENES)
@examples(100)
def test_a_count_is_at_every_moment_what_is_stored(scene: Scene) -> None:
    """At least what was stored as it began, at most what was as it had ended; and then exactly."""
    clock = VirtualClock(BEGIN + scene.second)
    ring = ModelRing(clock, scene.script, scene.reading)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        await play(scene, ring, reader)
        for since in (ALL, BEGIN, BEGIN + 61, BEGIN + 100):
            fresh = WindowReader(ring, clock.time)
            assert await fresh.counts_since(since) == ring.stored(since)
            assert await reader.counts_since(since) == ring.stored(since)

    run_with(test(), clock)


def seen(ring: ModelRing, seal: Attempt) -> bool:
    """Whether a list of lanes was read in which this one was sealed."""
    minute, _ = seal.partition
    return any(own == minute and place > seal.applied for own, place in ring.lists_read)


@given(SCENES)
@examples(60)
def test_what_is_final_is_read_once(scene: Scene) -> None:
    """Of a sealed lane the counts in its list, and of a minute past, the list."""
    clock = VirtualClock(BEGIN + scene.second)
    ring = ModelRing(clock, scene.script, scene.reading)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        await play(scene, ring, reader)
        await reader.counts_since(ALL)
        known = {seal.partition for seal in ring.attempts if seal.seals and seen(ring, seal)}
        for _ in range(3):
            now = clock.time()
            ring.lists_read, ring.counts_read = [], []
            before = reader.reads
            await reader.counts_since(ALL)
            assert reader.reads - before == len(ring.lists_read) + len(ring.counts_read)
            assert len(ring.counts_read) == len(set(ring.counts_read))
            assert set(ring.counts_read) <= ring.listed().keys() - known
            minutes = [minute for minute, _ in ring.lists_read]
            assert all(60 * (minute + 3) > now for minute in minutes)
            assert len(minutes) == len(set(minutes))
            await asyncio.sleep(25)

    run_with(test(), clock)


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_window_of_half_an_hour_costs_a_few_reads(lanes: int) -> None:
    """Whatever the number of events: some for the last minutes, none for those before them."""
    clock = VirtualClock()
    ring = ModelRing(clock)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writers = [Writer(ring, number) for number in range(lanes)]
        for _ in range(62):
            await asyncio.gather(*(writer.play([Step(30, 0, 3)]) for writer in writers))
            await reader.counts_since(int(clock.time()) - 1800)
        await asyncio.sleep(25)
        since = int(clock.time()) - 1800
        await reader.counts_since(since)
        ring.lists_read, ring.counts_read = [], []
        assert await reader.counts_since(since) == ring.stored(since)
        assert len(ring.lists_read) == 2
        assert len(ring.counts_read) == lanes

    run_with(test(), clock)


def test_a_lane_that_joins_at_the_last_moment_is_not_overlooked() -> None:
    """By a clock as far behind the readers' as it may be, whenever these read the list."""
    clock = VirtualClock(BEGIN + 110)
    ring = ModelRing(clock, reading=[0.4])
    readers = [WindowReader(ring, clock.time) for _ in range(10)]

    async def count_on(number: int, reader: WindowReader) -> None:
        SKEW.set(SKEW_SECONDS / 2)
        await asyncio.sleep(number / 10)
        for _ in range(25):
            await Count(ring, BEGIN).read(reader)
            await asyncio.sleep(0.2)

    async def test() -> None:
        counting = [asyncio.create_task(count_on(*one)) for one in enumerate(readers)]
        late = Writer(ring, skew=-SKEW_SECONDS / 2)
        SKEW.set(late.skew)
        last = BEGIN + 60 + JOINED_SECONDS - clock.time()
        await asyncio.sleep(last - 0.011)
        await late.write(Step(0, JOINED_SECONDS + 5, 1))
        await asyncio.wait(counting)
        assert len(ring.stored()) == 1
        for reader in readers:
            assert await reader.counts_since(BEGIN) == ring.stored()

    run_with(test(), clock)


def test_a_lane_that_is_sealed_while_it_is_read_is_counted_once() -> None:
    clock = VirtualClock()
    ring = ModelRing(clock, reading=[0.01, 0.01, 5.0])  # two minutes' lists, and its counts
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writer = Writer(ring)
        await writer.write(Step(0, 0, 3))
        slow = asyncio.create_task(reader.counts_since(BEGIN - 60))
        await asyncio.sleep(1)
        await writer.seal()
        ring.reading = itertools.repeat(0.01)
        assert await reader.counts_since(BEGIN - 60) == ring.stored()
        assert await slow == ring.stored()

    run_with(test(), clock)


def test_a_list_that_comes_late_makes_no_sealed_lane_unsealed() -> None:
    clock = VirtualClock()
    ring = ModelRing(clock, reading=[4.0])
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writer = Writer(ring)
        await writer.write(Step(0, 0, 3))
        slow = asyncio.create_task(reader.counts_since(BEGIN))
        await asyncio.sleep(3)
        await writer.seal()
        ring.reading = itertools.repeat(0.01)
        assert await reader.counts_since(BEGIN) == ring.stored()
        assert await slow == ring.stored()

    run_with(test(), clock)


def test_a_lane_that_is_sealed_late_is_read_no_more_either() -> None:
    """No other can join its minute by then, and the list is read for its sake."""
    clock = VirtualClock()
    ring = ModelRing(clock)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writer = Writer(ring)
        await writer.write(Step(0, 0, 3))
        await asyncio.sleep(60 + JOINED_SECONDS + SKEW_SECONDS + 1)
        await reader.counts_since(BEGIN)
        await writer.seal()
        await reader.counts_since(BEGIN)
        ring.counts_read = []
        assert await reader.counts_since(BEGIN) == ring.stored()
        assert ring.counts_read == []

    run_with(test(), clock)


@pytest.mark.parametrize(("ahead", "seen"), [(SKEW_SECONDS, True), (SKEW_SECONDS + 1, False)])
def test_it_looks_as_far_ahead_as_another_clock_may_be(ahead: int, seen: bool) -> None:
    """Into the next minute. Its own minutes it sees however far its clock was set back since."""
    clock = VirtualClock(BEGIN + 60 - SKEW_SECONDS)
    ring = ModelRing(clock)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writer = Writer(ring, skew=ahead)
        SKEW.set(ahead)
        await writer.write(Step(0, 0, 2))
        SKEW.set(0.0 if seen else -1.0)
        assert await reader.counts_since(BEGIN) == (ring.stored() if seen else {})
        SKEW.set(-300.0)
        assert await reader.counts_since(BEGIN - 600) == {}
        assert await reader.counts_since(BEGIN - 600, FIRST_MINUTE + 1) == ring.stored()

    run_with(test(), clock)


def test_it_forgets_what_it_is_told_to_forget() -> None:
    clock = VirtualClock()
    ring = ModelRing(clock)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writer = Writer(ring)
        await writer.write(Step(0, 0, 3))
        await writer.seal()
        await asyncio.sleep(300)
        assert await reader.counts_since(BEGIN) == ring.stored()
        ring.empty()
        assert sum((await reader.counts_since(BEGIN)).values()) == 3
        reader.forget()
        assert await reader.counts_since(BEGIN) == {}

    run_with(test(), clock)


def test_what_the_window_has_left_behind_is_forgotten() -> None:
    """A window that is asked for again begins where it began: nothing grows."""
    clock = VirtualClock()
    ring = ModelRing(clock)
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        writer = Writer(ring)
        await writer.write(Step(0, 0, 3))
        await writer.seal()
        await asyncio.sleep(600)
        assert await reader.counts_since(BEGIN) == ring.stored()
        await reader.counts_since(BEGIN + 60)
        ring.lists_read = []
        assert await reader.counts_since(BEGIN) == ring.stored()
        assert FIRST_MINUTE in [minute for minute, _ in ring.lists_read]

    run_with(test(), clock)


def test_a_quorum_that_does_not_answer_is_said_to() -> None:
    clock = VirtualClock()
    ring = ModelRing(clock, reading=[0.01, -1.0, -1.0])
    reader = WindowReader(ring, clock.time)

    async def test() -> None:
        await reader.check()
        with pytest.raises(StoreUnavailable):
            await reader.check()
        assert reader.reads == 0, "these are not in order to count"

    run_with(test(), clock)
