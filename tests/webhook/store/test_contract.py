"""What every store must do, on a real one of each kind."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.stores import new_store
from webhook.events import Event
from webhook.store import Store, StoreUnavailable, open_store
from webhook.store.audit import stored

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))  # as in JSON
RETENTION_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class StoreUnderTest:
    """Opens a store of one kind, again and again on the same data; reads its rows directly."""

    url: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = open_store(self.url, RETENTION_SECONDS)
        await store.open()
        try:
            await healthy(store)
            yield store
        finally:
            await store.close()

    def bodies(self) -> list[str]:
        return [body for _, body in stored(self.url)]


KINDS = [
    pytest.param("", id="sqlite"),
    pytest.param("lone_node", id="cassandra-1-node", marks=pytest.mark.ring("lone_node")),
    pytest.param("three_nodes", id="cassandra-3-nodes", marks=pytest.mark.ring("three_nodes")),
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> StoreUnderTest:
    """A new and empty store."""
    if not request.param:
        return StoreUnderTest(f"sqlite:///{tmp_path / 'events.db'}")
    return StoreUnderTest(new_store(request.getfixturevalue(request.param)))


async def healthy(store: Store) -> None:
    """Return when the store can be used: it may still be connecting when it is open."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await store.health()
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def write_all(store: Store, events: list[Event]) -> None:
    """Write in groups as the store wants them."""
    for _, group in groupby(events, lambda one: _span(store, one)):
        await store.write(list(group))


def _span(store: Store, one: Event) -> int:
    span = store.group_seconds * 1_000_000
    return one.received_at // span if span else 0


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def event(body: str = '{"type": "a"}', seconds_ago: float = 0.0) -> Event:
    return Event(int((time.time() - seconds_ago) * 1e6), "a", None, body)


def half_an_hour_ago() -> int:
    return int(time.time()) - 1800


def by_second(events: list[Event]) -> dict[int, int]:
    return dict(Counter(one.received_at // 1_000_000 for one in events))


def test_a_new_store_is_empty_and_healthy(kind: StoreUnderTest) -> None:
    async def test() -> None:
        async with kind.opened() as store:
            await store.health()
            assert await store.counts_since(half_an_hour_ago()) == {}

    run(test())


def test_a_write_is_counted_at_once_and_by_its_second_of_receipt(kind: StoreUnderTest) -> None:
    async def test() -> None:
        events = [event(seconds_ago=ago) for ago in (50.0, 31.5, 31.4, 3.0, 0.0, 0.0)]
        async with kind.opened() as store:
            await write_all(store, events)
            assert await store.counts_since(half_an_hour_ago()) == by_second(events)
            since = events[3].received_at // 1_000_000
            assert await store.counts_since(since) == by_second(events[3:])

    run(test())


def test_an_event_that_waited_for_minutes_is_counted_or_refused(kind: StoreUnderTest) -> None:
    async def test() -> None:
        old = [event(seconds_ago=200.0)]
        async with kind.opened() as store:
            await store.counts_since(half_an_hour_ago())  # it may remember that minute from now on
            try:
                await write_all(store, old)
            except StoreUnavailable:
                old = []
            assert await store.counts_since(half_an_hour_ago()) == by_second(old)
            await write_all(store, [event()])  # nothing is wrong with the store
        assert len(kind.bodies()) == len(old) + 1

    run(test())


def test_counts_of_writes_add_up_within_a_second(kind: StoreUnderTest) -> None:
    async def test() -> None:
        first = event()
        async with kind.opened() as store:
            for _ in range(5):
                await write_all(store, [first, first])
            assert await store.counts_since(half_an_hour_ago()) == {
                first.received_at // 1_000_000: 10
            }

    run(test())


def test_what_was_written_is_there_for_the_next_process(kind: StoreUnderTest) -> None:
    async def test() -> None:
        events = [event(f'{{"type": "a", "n": {n}}}') for n in range(100)]
        async with kind.opened() as store:
            await write_all(store, events)
        assert kind.bodies() == [one.body for one in events]
        async with kind.opened() as store:
            assert await store.counts_since(half_an_hour_ago()) == by_second(events)
            await write_all(store, events)
            assert sum((await store.counts_since(half_an_hour_ago())).values()) == 200

    run(test())


def test_as_many_writes_at_once_as_it_has_lanes(kind: StoreUnderTest) -> None:
    async def test() -> None:
        async with kind.opened() as store:
            for _ in range(20):
                await asyncio.gather(
                    *(write_all(store, [event()] * 50) for _ in range(store.lanes))
                )
            assert (
                sum((await store.counts_since(half_an_hour_ago())).values()) == 1000 * store.lanes
            )

    run(test())


def test_reads_go_on_while_it_writes(kind: StoreUnderTest) -> None:
    """Counts never fall and hold every write that had returned when the read began."""

    async def test() -> None:
        written = 0

        async def write(store: Store) -> None:
            nonlocal written
            for _ in range(50):
                await write_all(store, [event()] * 20)
                written += 20

        async with kind.opened() as store:
            writing = asyncio.create_task(write(store))
            seen = [0]
            while not writing.done():
                floor = written
                seen.append(sum((await store.counts_since(half_an_hour_ago())).values()))
                assert seen[-1] >= max(floor, seen[-2])
            await writing
            assert sum((await store.counts_since(half_an_hour_ago())).values()) == written

    run(test())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(TEXT, min_size=1, max_size=30))
def test_bodies_come_back_as_they_went_in(kind: StoreUnderTest, texts: list[str]) -> None:
    async def test() -> None:
        async with kind.opened() as store:
            before = len(kind.bodies())
            await write_all(store, [event(text) for text in texts])
        assert kind.bodies()[before:] == texts

    run(test())
