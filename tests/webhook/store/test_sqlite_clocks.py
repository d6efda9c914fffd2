"""Events are kept for as long as was promised, whatever the clock showed when they came in."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.rows import rows
from webhook.clock import MICROSECONDS
from webhook.events import Event
from webhook.store.sqlite import SqliteStore

HOUR, DAY = 3600, 24 * 3600
RETENTION_DAYS = 7
RIGHT = 1_790_000_000.0


class Clock:
    """Two clocks: `monotonic` passes, and the wall clock is that and `offset`."""

    def __init__(self, offset: float) -> None:
        self.offset = offset
        self.passed = 0.0

    def wall(self) -> float:
        return self.offset + self.passed

    def monotonic(self) -> float:
        return self.passed


async def write(store: SqliteStore, clock: Clock, events: int) -> None:
    for _ in range(events):
        clock.passed += 1
        await store.write([Event(int(clock.wall() * MICROSECONDS), "x", None, "{}")])


async def let_pass(store: SqliteStore, clock: Clock, seconds: int) -> None:
    """As the store's own task does each second; here each ten minutes are one."""
    for _ in range(0, seconds, 600):
        clock.passed += 600
        await store._on(store._writing, store._writer.expire)  # noqa: SLF001 - its clock is ours


@pytest.mark.parametrize("behind", [2 * HOUR, 8 * DAY, RIGHT], ids=["hours", "days", "1970"])
def test_what_came_in_under_a_clock_that_was_behind_is_kept_as_long(
    tmp_path: Path, behind: float
) -> None:
    """
    1. A machine starts with its clock behind, events come in, and the clock is set right.
    2. The receiver is started again.
    Result: they expire when they are as old as others, and neither sooner nor later.
    """
    path = tmp_path / "events.db"
    clock = Clock(RIGHT - behind)

    def store() -> SqliteStore:
        return SqliteStore(path, RETENTION_DAYS * DAY, clock.wall, clock.monotonic)

    async def test() -> None:
        # 1.
        first = store()
        await first.open()
        await write(first, clock, 20)
        clock.offset = RIGHT
        await let_pass(first, clock, 2 * HOUR)
        await first.close()
        # 2.
        second = store()
        await second.open()
        await let_pass(second, clock, (RETENTION_DAYS - 1) * DAY)
        assert rows(path) == 20
        await let_pass(second, clock, DAY)
        assert rows(path) == 0
        await second.close()

    asyncio.run(test())


def test_a_clock_set_right_while_nothing_can_be_written_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    clock = Clock(RIGHT - 8 * DAY)

    async def test() -> None:
        store = SqliteStore(path, RETENTION_DAYS * DAY, clock.wall, clock.monotonic)
        await store.open()
        await write(store, clock, 20)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER no BEFORE INSERT ON clock_steps BEGIN SELECT raise(FAIL, 'no'); END"
            )
            clock.offset = RIGHT
            await let_pass(store, clock, 600)
            other.execute("DROP TRIGGER no")
        await store.health()  # as a receiver asks for it, after which it writes again
        await let_pass(store, clock, 2 * HOUR)
        assert rows(path) == 20
        await store.close()

    asyncio.run(test())
