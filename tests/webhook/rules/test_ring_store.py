"""How the store on a ring uses its lanes, which keep their rules only if it does."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook.commit
import webhook.store.cassandra.keeper
import webhook.store.cassandra.lane
import webhook.store.cassandra.patience
import webhook.store.cassandra.store
from tests.support.virtual_time import BEGIN, VirtualClock, run
from tests.webhook.rules.examples import examples
from tests.webhook.rules.lanes import LATEST_SECONDS, RETENTION, SCRIPTS
from tests.webhook.rules.model_ring import Fate, ModelRing, Partition, Turn
from tests.webhook.rules.submissions import Post
from webhook.clock import ReceiptClock
from webhook.commit import CommitLimits, GroupCommit, Outcome
from webhook.events import Event
from webhook.store.cassandra.lane import INSERT_EVENTS, SEAL_AFTER_SECONDS
from webhook.store.cassandra.link import Link, Look
from webhook.store.cassandra.patience import PATIENCE_SECONDS
from webhook.store.cassandra.store import (
    MOST_REPEATED,
    REPEAT_SECONDS,
    WRITE_SECONDS,
    CassandraStore,
)
from webhook.store.cassandra.watch import LOOK_SECONDS
from webhook.store.cassandra.window import WindowReader
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

MODULES = [
    webhook.commit,
    webhook.store.cassandra.keeper,
    webhook.store.cassandra.lane,
    webhook.store.cassandra.patience,
    webhook.store.cassandra.store,
]
LIMITS = CommitLimits(100, 10_000, 20, 10_000, answer_seconds=10.0)


class Bench:
    """A store on a ring in memory; `marks` are those by which a ring shows that it was emptied."""

    def __init__(
        self,
        script: Iterable[Turn] = (),
        second: float = 0.0,
        reading: Sequence[float] = (0.01,),
    ) -> None:
        self.clock = VirtualClock(BEGIN + second)
        self.ring = ModelRing(self.clock, script, reading)
        self.marks = {"events": "as made"}
        self.ring.use(cast("Link", self._link()))
        with ExitStack() as stack:
            for name, made in (
                ("Ring", lambda *_: self.ring),
                ("WindowReader", lambda ring: WindowReader(ring, self.clock.time)),
            ):
                stack.enter_context(patch.object(webhook.store.cassandra.store, name, made))
            self.store = CassandraStore(self.ring.settings, RETENTION)
        self._written = 0

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        """Run `test` with the store open."""

        async def opened() -> None:
            await self.store.open()
            await test()

        run(opened(), self.clock, MODULES)

    async def write(self, events: int = 1) -> Partition:
        """Write so many; where they went. Raises what the store raises."""
        self._written += 1
        received_at = self.clock.time_ns() // 1000
        bodies = [f"{self._written}.{index}" for index in range(events)]
        await self.store.write([Event(received_at, "a", None, body) for body in bodies])
        return self.writes[-1]

    @property
    def writes(self) -> list[Partition]:
        """Where events were written to, one after the other."""
        return [one.partition for one in self.ring.attempts if one.statement == INSERT_EVENTS]

    def _link(self) -> SimpleNamespace:
        node = SimpleNamespace(address="one")
        return SimpleNamespace(
            connected=lambda: [node],
            lost=list,
            refresh=lambda: True,
            size=lambda: 3,
            copies=lambda _keyspace: 3,
            look=lambda: [Look("one", 0.0, 0.0, {})],
            tables=lambda _keyspace: dict(self.marks),
            close=lambda: None,
        )


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.0, 0.5, 9.0, 40.0]), st.integers(1, 4)), max_size=20
    ),
    SCRIPTS,
    st.floats(0, 59.9),
)
@examples(40)
def test_what_is_said_is_what_is_stored_and_counted(
    posts: Sequence[tuple[float, int]], script: Sequence[Turn], second: float
) -> None:
    """From the submission to the count, with two lanes."""
    bench = Bench(script, second)
    taken: list[tuple[Post, Outcome]] = []
    receipt = ReceiptClock(bench.clock.time_ns)

    def settle(settled: Sequence[Post], outcome: Outcome) -> None:
        taken.extend((post, outcome) for post in settled)

    async def test() -> None:
        commit: GroupCommit[Post] = GroupCommit(bench.store, LIMITS, settle)
        commit.start()
        for number, (pause, events) in enumerate(posts):
            await asyncio.sleep(pause)
            names = [f"{number}.{index}" for index in range(events)]
            made = [Event(receipt(), "a", None, name) for name in names]
            assert commit.submit(Post(made, 10, bench.clock.monotonic(), number))
        await asyncio.sleep(1.1 * LIMITS.answer_seconds)
        await commit.stop()
        await asyncio.sleep(REPEAT_SECONDS + LATEST_SECONDS)
        assert bench.ring.late == 0
        assert bench.ring.agreed
        assert await bench.store.counts_since(BEGIN) == bench.ring.stored()
        await bench.store.close()

    bench.run(test)
    assert sorted(post.came for post, _ in taken) == list(range(len(posts)))
    stored = Counter(bench.ring.bodies())
    assert set(stored.values()) <= {1}
    for post, outcome in taken:
        found = {event.body in stored for event in post.events}
        if outcome is not Outcome.UNKNOWN:
            assert found == {outcome is Outcome.STORED}


def test_writes_at_the_same_time_have_lanes_of_their_own_and_later_ones_the_same() -> None:
    bench = Bench()

    async def test() -> None:
        await asyncio.gather(bench.write(), bench.write())
        lanes = {*bench.writes}
        assert len(lanes) == 2
        assert await bench.write() in lanes

    bench.run(test)


@pytest.mark.parametrize("how", ["unknown", "cancelled"])
def test_a_lane_of_which_nobody_knows_is_not_used_again_nor_sealed(how: str) -> None:
    listing = Turn(Fate.STORED)
    lost = [Turn(Fate.LOST, 0.5)] * 400
    bench = Bench([listing, *lost] if how == "unknown" else [listing, Turn(Fate.STORED, 5.0)])

    async def test() -> None:
        writing = asyncio.create_task(bench.write())
        await asyncio.sleep(1)
        if how == "cancelled":
            writing.cancel()
        with suppress(asyncio.CancelledError, OutcomeUnknown):
            await writing
        (lane,) = {*bench.writes}
        await asyncio.sleep(REPEAT_SECONDS + 10)
        bench.ring.script = iter(())
        assert await bench.write() != lane
        await asyncio.sleep(120)
        await bench.store.close()
        assert [bench.ring.listed()[one][0] for one in dict.fromkeys(bench.writes)] == [False, True]

    bench.run(test)


def test_a_write_of_unknown_outcome_is_repeated_in_the_background() -> None:
    bench = Bench([Turn(Fate.STORED), *[Turn(Fate.LOST, 0.5)] * 30])

    async def test() -> None:
        with pytest.raises(OutcomeUnknown):
            await bench.write(2)
        assert bench.ring.bodies() == []
        await asyncio.sleep(REPEAT_SECONDS)
        assert bench.ring.bodies() == ["1.0", "1.1"]
        assert await bench.store.counts_since(BEGIN) == bench.ring.stored()

    bench.run(test)


def test_so_many_are_repeated_in_the_background_and_no_more() -> None:
    bench = Bench()

    async def test() -> None:
        lanes = MOST_REPEATED + 3
        await asyncio.gather(*(bench.write() for _ in range(lanes)))
        bench.ring.script = iter([Turn(Fate.LOST, 0.5)] * 10_000)
        writing = [asyncio.create_task(bench.write()) for _ in range(lanes)]
        await asyncio.wait(writing)
        assert all(isinstance(one.exception(), OutcomeUnknown) for one in writing)
        bench.ring.attempts.clear()
        await asyncio.sleep(WRITE_SECONDS)
        assert len({*bench.writes}) == MOST_REPEATED

    bench.run(test)


def test_an_idle_lane_is_sealed_when_no_event_of_its_minute_can_come() -> None:
    bench = Bench()

    async def test() -> None:
        lane = await bench.write(3)
        await asyncio.sleep(59 + SEAL_AFTER_SECONDS)
        assert not bench.ring.listed()[lane][0]
        await asyncio.sleep(3)
        assert bench.ring.listed()[lane] == (True, bench.ring.in_rows(lane))
        assert await bench.write() != lane

    bench.run(test)


@pytest.mark.parametrize("busy", [False, True])
def test_after_the_tables_were_emptied_all_begins_anew(busy: bool) -> None:
    """Also for a write that was under way: what it wrote before may be gone."""
    bench = Bench()

    async def test() -> None:
        await asyncio.sleep(1)
        lane = await bench.write(3)
        assert await bench.store.counts_since(BEGIN) == bench.ring.stored()
        if busy:
            bench.ring.script = iter([Turn(Fate.STORED, 2 * LOOK_SECONDS)])
            writing = asyncio.create_task(bench.write(2))
            await asyncio.sleep(0.1)
        bench.ring.empty()
        bench.marks["events"] = "made again"
        await asyncio.sleep(LOOK_SECONDS + 1)
        if busy:
            await writing
            await asyncio.sleep(1)
        assert await bench.write() != lane
        assert bench.ring.bodies() == (["2.0", "2.1", "3.0"] if busy else ["2.0"])
        assert await bench.store.counts_since(BEGIN) == bench.ring.stored()

    bench.run(test)


def test_its_own_events_are_counted_however_far_the_clock_is_set_back() -> None:
    bench = Bench(second=30.0)

    async def test() -> None:
        await bench.write(2)
        bench.clock.set_wall(-3600)
        assert await bench.store.counts_since(BEGIN - 4000) == bench.ring.stored()

    bench.run(test)


def test_where_writes_worked_a_refusal_is_tried_again() -> None:
    """As while one node of the ring restarts: no client hears of it."""
    bench = Bench([Turn(Fate.STORED), Turn(Fate.REFUSED), Turn(Fate.REFUSED)])

    async def test() -> None:
        await bench.store.health()
        await bench.write(3)
        assert sum(bench.ring.stored().values()) == 3
        assert await bench.store.counts_since(BEGIN) == bench.ring.stored()

    bench.run(test)


def test_in_an_outage_a_write_is_refused_at_once() -> None:
    bench = Bench([Turn(Fate.REFUSED)] * 3)

    async def test() -> None:
        with pytest.raises(StoreUnavailable):
            await bench.store.health()
        for _ in range(2):
            before = bench.clock.monotonic()
            with pytest.raises(StoreUnavailable):
                await bench.write()
            assert bench.clock.monotonic() - before < PATIENCE_SECONDS / 2

    bench.run(test)


def test_where_reads_worked_one_that_fails_is_tried_again() -> None:
    """So a GET, too, hears nothing of a node that restarts."""
    bench = Bench(reading=[0.01, -0.2, -0.2])

    async def test() -> None:
        await bench.store.health()
        for _ in range(5):
            assert await bench.store.counts_since(BEGIN) == {}

    bench.run(test)


def test_in_an_outage_a_read_fails_at_once() -> None:
    bench = Bench(reading=[0.01, *[-0.2] * 1000])

    async def test() -> None:
        await bench.store.health()
        for patience in (PATIENCE_SECONDS, 0.0, 0.0):
            before = bench.clock.monotonic()
            with pytest.raises(StoreUnavailable):
                await bench.store.counts_since(BEGIN)
            assert patience <= bench.clock.monotonic() - before <= patience + 0.5

    bench.run(test)


def test_it_is_well_when_a_write_has_worked_or_a_probe_does() -> None:
    refusal = Turn(Fate.REFUSED, seconds=PATIENCE_SECONDS + 0.1)
    bench = Bench([Turn(Fate.STORED), refusal, Turn(Fate.LOST), Turn(Fate.REFUSED)])

    async def test() -> None:
        await asyncio.sleep(1)
        await bench.store.health()
        await bench.store.health()
        assert len(bench.writes) == 1, "one probe proves it until a write fails"
        with pytest.raises(StoreUnavailable):
            await bench.write()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await bench.store.health()
        await bench.store.health()
        assert await bench.store.counts_since(BEGIN) == {}

    bench.run(test)
