"""What is known of the last count when nobody asks for another."""

import asyncio
from collections.abc import Mapping, Sequence

from webhook.clock import MICROSECONDS, ReceiptClock
from webhook.counter import WindowCounter
from webhook.events import Event

START = 1_790_000_000


class CountsOnly:
    """A store that has these counts, and is asked for nothing else."""

    lanes = 1
    group_seconds = 0

    def __init__(self, counts: Mapping[int, int]) -> None:
        self.reads = 0
        self._counts = counts

    async def open(self) -> None:
        raise AssertionError

    async def write(self, batch: Sequence[Event]) -> None:
        raise AssertionError(batch)

    async def counts_since(self, second: int) -> Mapping[int, int]:
        self.reads += 1
        return {at: number for at, number in self._counts.items() if at >= second}

    async def health(self) -> None:
        raise AssertionError

    async def close(self) -> None:
        raise AssertionError


def test_events_that_are_ahead_are_fewer_as_their_time_comes() -> None:
    """And no read of the store is needed for that."""
    now = START
    store = CountsOnly({START - 1: 100, START: 10, START + 1: 5, START + 3600: 2})
    counter = WindowCounter(store, ReceiptClock(lambda: now * MICROSECONDS * 1000), 1800)
    assert counter.ahead == 0
    asyncio.run(count(counter, 117))
    assert counter.ahead == 7
    now = START + 1
    assert counter.ahead == 2
    now = START + 3600
    assert counter.ahead == 0
    assert store.reads == 1


async def count(counter: WindowCounter, expected: int) -> None:
    reading = await counter.read()
    assert reading.window.total(reading.counts) == expected
