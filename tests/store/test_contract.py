"""What every store must do, on a real one of each kind."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.rows import bodies
from webhook.events import Event
from webhook.store import Store, open_store

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))  # as in JSON
RETENTION_SECONDS = 7 * 24 * 3600


class StoreUnderTest:
    """Opens a store of one kind, again and again on the same data; reads its rows directly."""

    def __init__(self, url: str, bodies: Callable[[], list[str]]) -> None:
        self.url = url
        self.bodies = bodies

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = open_store(self.url, RETENTION_SECONDS)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


@pytest.fixture
def kind(tmp_path: Path) -> StoreUnderTest:
    path = tmp_path / "events.db"
    return StoreUnderTest(f"sqlite:///{path}", lambda: bodies(path))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def event(body: str = '{"type": "a"}', seconds_ago: float = 0.0) -> Event:
    return Event(int((time.time() - seconds_ago) * 1e6), "a", None, body)


def by_second(events: list[Event]) -> dict[int, int]:
    return dict(Counter(one.received_at // 1_000_000 for one in events))


def test_a_new_store_is_empty_and_healthy(kind: StoreUnderTest) -> None:
    async def test() -> None:
        async with kind.opened() as store:
            await store.health()
            assert await store.counts_since(0) == {}

    run(test())


def test_a_write_is_counted_at_once_and_by_its_second_of_receipt(kind: StoreUnderTest) -> None:
    async def test() -> None:
        events = [event(seconds_ago=ago) for ago in (90.0, 61.5, 61.4, 3.0, 0.0, 0.0)]
        async with kind.opened() as store:
            await store.write(events)
            assert await store.counts_since(0) == by_second(events)
            since = events[3].received_at // 1_000_000
            assert await store.counts_since(since) == by_second(events[3:])

    run(test())


def test_counts_of_writes_add_up_within_a_second(kind: StoreUnderTest) -> None:
    async def test() -> None:
        first = event()
        async with kind.opened() as store:
            for _ in range(5):
                await store.write([first, first])
            assert await store.counts_since(0) == {first.received_at // 1_000_000: 10}

    run(test())


def test_what_was_written_is_there_for_the_next_process(kind: StoreUnderTest) -> None:
    async def test() -> None:
        events = [event(f'{{"type": "a", "n": {n}}}') for n in range(100)]
        async with kind.opened() as store:
            await store.write(events)
        assert kind.bodies() == [one.body for one in events]
        async with kind.opened() as store:
            assert await store.counts_since(0) == by_second(events)
            await store.write(events)
            assert sum((await store.counts_since(0)).values()) == 200

    run(test())


def test_as_many_writes_at_once_as_it_has_lanes(kind: StoreUnderTest) -> None:
    async def test() -> None:
        async with kind.opened() as store:
            for _ in range(20):
                await asyncio.gather(*(store.write([event()] * 50) for _ in range(store.lanes)))
            assert sum((await store.counts_since(0)).values()) == 1000 * store.lanes

    run(test())


def test_reads_go_on_while_it_writes(kind: StoreUnderTest) -> None:
    """Counts never fall and hold every write that had returned when the read began."""

    async def test() -> None:
        written = 0

        async def write(store: Store) -> None:
            nonlocal written
            for _ in range(50):
                await store.write([event()] * 20)
                written += 20

        async with kind.opened() as store:
            writing = asyncio.create_task(write(store))
            seen = [0]
            while not writing.done():
                floor = written
                seen.append(sum((await store.counts_since(0)).values()))
                assert seen[-1] >= max(floor, seen[-2])
            await writing
            assert sum((await store.counts_since(0)).values()) == written

    run(test())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=1, max_size=30))
def test_bodies_come_back_as_they_went_in(kind: StoreUnderTest, texts: list[str]) -> None:
    async def test() -> None:
        async with kind.opened() as store:
            before = len(kind.bodies())
            await store.write([event(text) for text in texts])
        assert kind.bodies()[before:] == texts

    run(test())
