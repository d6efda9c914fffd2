"""What one node alone has of a dead receiver is written to all; nothing else is touched."""

import asyncio
import uuid
from collections.abc import Coroutine
from contextlib import suppress

import webhook.store.cassandra.settling
from tests.support.virtual_time import BEGIN, VirtualClock, run
from tests.webhook.rules.model_ring import Fate, ModelRing, Turn
from webhook.events import Event
from webhook.store.cassandra.codec import (
    encode_bigint,
    encode_counts,
    encode_events,
    encode_int,
)
from webhook.store.cassandra.lane import INSERT_COUNTS, INSERT_EVENTS, MINUTE, event_row
from webhook.store.cassandra.settling import AFTER_SECONDS, PAUSE_SECONDS, Settler
from webhook.store.contract import OutcomeUnknown

NOW = BEGIN // MINUTE
TTL = 700_000


class Bench:
    """A lane of the minute at which the clock begins, whose receiver is dead, and a settler."""

    def __init__(self, *fates: Fate) -> None:
        self.clock = VirtualClock()
        self.ring = ModelRing(self.clock, [Turn(fate) for fate in fates])
        self.settler = Settler(self.ring, self.clock.time)
        self.lane = uuid.UUID(int=7)

    def run(self, test: Coroutine[None, None, None]) -> None:
        run(test, self.clock, [webhook.store.cassandra.settling])

    async def write(self, seq: int) -> None:
        """The write of that number: one event more in the lane, received in the second `seq`."""
        event = Event((BEGIN + seq) * 1_000_000, "call.new", None, f"{seq}")
        counts = dict.fromkeys(range(seq + 1), 1)
        cell = encode_events([event])
        row = event_row(NOW, self.lane.bytes, seq, counts, cell, TTL, event.received_at)
        with suppress(OutcomeUnknown):
            await self.ring.execute(INSERT_EVENTS, row)

    async def count_again(self, counts: dict[int, int]) -> None:
        """Set the lane's counts, later than any write."""
        cells = [encode_counts(counts), encode_int(sum(counts.values())), encode_int(TTL)]
        timestamp = encode_bigint((BEGIN + MINUTE) * 1_000_000)
        values = [encode_int(NOW), self.lane.bytes, *cells, timestamp]
        await self.ring.execute(INSERT_COUNTS, values)

    async def settle_at(self, age: float) -> None:
        """Settle so many seconds after the minute's end, or now if that is past."""
        await asyncio.sleep((NOW + 1) * MINUTE + age - self.clock.time())
        await self.settler.settle([(NOW, self.lane)])

    @property
    def bodies(self) -> list[str]:
        return sorted(self.ring.bodies())


def test_a_write_that_one_node_alone_has_is_written_to_all_as_it_was() -> None:
    bench = Bench(Fate.STORED, Fate.ALONE)

    async def test() -> None:
        await bench.write(0)
        await bench.write(1)
        assert bench.bodies == ["0"]
        await bench.settle_at(AFTER_SECONDS[0])
        assert bench.bodies == ["0", "1"]
        _, alone, again = bench.ring.attempts
        assert again.values == alone.values
        assert bench.ring.agreed

    bench.run(test())


def test_a_lane_is_settled_once_at_each_age() -> None:
    bench = Bench()

    async def test() -> None:
        await bench.write(0)
        for age, looks in zip(
            (
                0,
                AFTER_SECONDS[0] - 1,
                AFTER_SECONDS[0],
                AFTER_SECONDS[0] + 9,
                AFTER_SECONDS[1],
                900,
            ),
            (0, 0, 1, 1, 2, 2),
            strict=True,
        ):
            await bench.settle_at(age)
            assert len(bench.ring.last_read) == looks, age
        bench.settler.forget()
        await bench.settle_at(901)
        assert len(bench.ring.last_read) == 3, "the tables have changed"
        assert bench.bodies == ["0"]

    bench.run(test())


def test_the_second_age_finds_what_came_after_the_first() -> None:
    bench = Bench(Fate.STORED, Fate.STORED, Fate.ALONE)

    async def test() -> None:
        await bench.write(0)
        await bench.settle_at(AFTER_SECONDS[0])
        await bench.write(1)
        await bench.settle_at(AFTER_SECONDS[1])
        assert bench.bodies == ["0", "1"]

    bench.run(test())


def test_a_lane_that_was_counted_again_is_left_as_it_is() -> None:
    """Its counts are newer than its last row, and must not get those of the row."""
    bench = Bench()

    async def test() -> None:
        await bench.write(0)
        await bench.write(1)
        await bench.count_again({0: 1})
        await bench.settle_at(AFTER_SECONDS[0])
        assert len(bench.ring.attempts) == 3
        assert bench.ring.in_static_cells((NOW, bench.lane)) == {0: 1}

    bench.run(test())


def test_a_lane_without_a_row_is_left_as_it_is() -> None:
    bench = Bench()

    async def test() -> None:
        await bench.settle_at(AFTER_SECONDS[0])
        assert len(bench.ring.attempts) == 0
        await bench.count_again({})
        await bench.settle_at(AFTER_SECONDS[1])
        assert len(bench.ring.attempts) == 1

    bench.run(test())


def test_with_a_node_away_it_is_postponed() -> None:
    bench = Bench(Fate.ALONE)

    async def test() -> None:
        await bench.write(0)
        bench.ring.away = True
        await bench.settle_at(AFTER_SECONDS[0])
        bench.ring.away = False
        await bench.settle_at(AFTER_SECONDS[0] + PAUSE_SECONDS / 2)
        assert bench.bodies == []
        assert len(bench.ring.last_read) == 1, "the ring is not asked all the time"
        await bench.settle_at(AFTER_SECONDS[0] + PAUSE_SECONDS + 1)
        assert bench.bodies == ["0"]

    bench.run(test())
