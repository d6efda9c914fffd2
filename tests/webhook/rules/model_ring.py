"""A ring in memory, with those of its rules that the count leans on.

A mutation is applied as a whole or not at all. Of each cell the newest timestamp wins, of equal
ones the greater value. What was acknowledged is seen by every read that begins afterwards. What
ended with no answer may have been applied, may never be, and may be at any later time.
"""

import asyncio
import contextvars
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from cassandra.cqltypes import lookup_casstype

from tests.support.virtual_time import VirtualClock
from webhook.events import Event
from webhook.store.cassandra.lane import INSERT_COUNTS, INSERT_EVENTS, INSERT_LANE, SELECT_EVENTS
from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.settling import SELECT_LAST
from webhook.store.cassandra.url import RingSettings
from webhook.store.cassandra.window import SELECT_COUNTS, SELECT_LANES
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

PROTOCOL = 4
COUNTS = lookup_casstype("MapType(Int32Type, Int32Type)")
EVENTS = lookup_casstype("ListType(TupleType(LongType, UTF8Type, UTF8Type, UTF8Type))")
WRITER: contextvars.ContextVar[int] = contextvars.ContextVar("WRITER", default=-1)
"""Which lane object the task that asks belongs to."""

Partition = tuple[int, UUID]


class Fate(Enum):
    """What becomes of a mutation."""

    STORED = "applied and acknowledged"
    UNHEARD = "applied, and no answer"
    LOST = "never applied, and no answer"
    LATE = "no answer, and applied later"
    REFUSED = "not applied, and that is said"
    ALONE = "on one node alone, which a quorum need not ask, and no answer"


@dataclass(frozen=True)
class Turn:
    """What becomes of a mutation, after so many seconds; how much later it is applied if LATE."""

    fate: Fate
    seconds: float = 0.01
    later: float = 0.0


@dataclass(eq=False)
class Attempt:
    """A mutation that was sent, once or once more."""

    number: int
    """Its place in the order of all that is sent and answered."""
    statement: str
    values: tuple[bytes, ...]
    writer: int
    began: float
    """By the wall clock of who sent it."""
    began_at: float
    """In monotonic seconds."""
    fate: Fate
    applied: float = math.inf
    """The place at which it was applied first."""
    ended: float = math.inf
    """The place of its answer."""
    ended_at: float = math.inf

    @property
    def partition(self) -> Partition:
        return integer(self.values[0]), UUID(bytes=self.values[1])

    @property
    def timestamp(self) -> int:
        return integer(self.values[-1])

    @property
    def ttl(self) -> int:
        return integer(self.values[-2])

    @property
    def seq(self) -> int:
        return integer(self.values[2])

    @property
    def counts(self) -> dict[int, int]:
        return decoded_counts(self.values[2 if self.statement == INSERT_COUNTS else 3])

    @property
    def seals(self) -> bool:
        return self.statement == INSERT_LANE and self.values[2] == b"\1"


@dataclass
class Cells:
    """The cells of a partition or a row, with their timestamps."""

    held: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def put(self, name: str, timestamp: int, value: bytes) -> None:
        self.held[name] = max(self.held.get(name, (0, b"")), (timestamp, value))

    def get(self, name: str) -> bytes:
        return self.held.get(name, (0, b""))[1]


def integer(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


@lru_cache(10_000)
def decoded_counts(cell: bytes) -> dict[int, int]:
    return dict(COUNTS.from_binary(cell, PROTOCOL)) if cell else {}


@lru_cache(10_000)
def decoded_events(cell: bytes) -> list[tuple[int, str, str | None, str]]:
    return [] if cell == bytes(4) else [tuple(one) for one in EVENTS.from_binary(cell, PROTOCOL)]


class ModelRing(Ring):
    """Writes end as `script` says, and well past its end.

    Reads take `reading` seconds, again and again; one of less than 0 fails.
    """

    def __init__(
        self, clock: VirtualClock, script: Iterable[Turn] = (), reading: Sequence[float] = (0.01,)
    ) -> None:
        super().__init__(RingSettings.from_url("cassandra://one,two,three/teracompra"))
        self.clock = clock
        self.attempts: list[Attempt] = []
        self.lists_read: list[tuple[int, int]] = []
        """Minutes whose list of lanes was read, and the place of that."""
        self.counts_read: list[Partition] = []
        """Partitions whose counts were read."""
        self.last_read: list[Partition] = []
        """Partitions whose last row was read from all nodes."""
        self.away = False
        """Whether a node is away: a quorum answers, and all nodes don't."""
        self.late = 0
        """Mutations that are still to be applied."""
        self.agreed = True
        """Whether the counts of a partition were always those of its rows."""
        self.script = iter(script)
        self.reading: Iterator[float] = itertools.cycle(reading)
        self._places = itertools.count()
        self._static: dict[Partition, Cells] = {}
        self._rows: dict[Partition, dict[int, Cells]] = {}
        self._lanes: dict[int, dict[UUID, Cells]] = {}
        self._applied: list[Attempt] = []
        self._alone: list[Attempt] = []

    # What is there

    def stored(self, since: int = 0) -> dict[int, int]:
        """Events in rows by second of receipt, from `since` on: what a count should be."""
        times = (at // 1_000_000 for *_, at, _ in self._events())
        return dict(Counter(second for second in times if second >= since))

    def bodies(self) -> list[str]:
        """Of the events in rows."""
        return [body for *_, body in self._events()]

    def in_rows(self, partition: Partition) -> dict[int, int]:
        """Events in the rows of a partition by second of the minute."""
        found = (at for own, _, at, _ in self._events() if own == partition)
        return dict(Counter(at // 1_000_000 % 60 for at in found))

    def in_static_cells(self, partition: Partition) -> dict[int, int]:
        """The same, by the counts beside them."""
        return decoded_counts(self._static[partition].get("counts"))

    def listed(self) -> dict[Partition, tuple[bool, dict[int, int]]]:
        """Of each lane that is listed, whether it is sealed, and with which counts."""
        return {
            (minute, lane): (cells.get("sealed") == b"\1", decoded_counts(cells.get("counts")))
            for minute, lanes in self._lanes.items()
            for lane, cells in lanes.items()
        }

    def partitions(self) -> list[Partition]:
        return list(self._rows)

    def empty(self, back: Callable[[int], bool] = lambda _number: False) -> None:
        """Empty all tables, and have some mutations of events come back, of hints or a backup.

        `back` says of each, by its number, whether it does.
        """
        self._static, self._rows, self._lanes = {}, {}, {}
        writes = [one for one in self._applied if one.statement == INSERT_EVENTS]
        self._applied = []
        for number, attempt in enumerate(writes):
            if back(number):
                self._apply(attempt)

    def _events(self) -> Iterator[tuple[Partition, int, int, str]]:
        for partition, rows in self._rows.items():
            for seq, cells in rows.items():
                for received_at, _, _, body in decoded_events(cells.get("events")):
                    yield partition, seq, received_at, body

    # What a receiver does with it

    async def execute(
        self, statement: str, values: Sequence[bytes], *, every_copy: bool = False
    ) -> list[Any]:
        """See `Ring`."""
        if every_copy:
            assert statement == SELECT_LAST
            return await self._read_last(values)
        if statement in (SELECT_LANES, SELECT_COUNTS):
            return await self._read(statement, values)
        turn = next(self.script, Turn(Fate.STORED))
        attempt = Attempt(
            next(self._places),
            statement,
            tuple(values),
            WRITER.get(),
            self.clock.time(),
            self.clock.monotonic(),
            turn.fate,
        )
        self.attempts.append(attempt)
        await asyncio.sleep(turn.seconds / 2)
        if turn.fate in (Fate.STORED, Fate.UNHEARD):
            self._apply(attempt)
        if turn.fate is Fate.ALONE:
            self._alone.append(attempt)
        if turn.fate is Fate.LATE:
            self.late += 1
            asyncio.get_running_loop().call_later(turn.later, self._apply_late, attempt)
        await asyncio.sleep(turn.seconds / 2)
        attempt.ended, attempt.ended_at = next(self._places), self.clock.monotonic()
        if turn.fate is Fate.REFUSED:
            raise StoreUnavailable("as the script says")
        if turn.fate is not Fate.STORED:
            raise OutcomeUnknown("as the script says")
        return []

    def pages(self, statement: str, values: Sequence[bytes]) -> Iterator[Any]:
        """See `Ring`."""
        assert statement == SELECT_EVENTS
        partition = integer(values[0]), UUID(bytes=values[1])
        for cells in self._rows.get(partition, {}).values():
            events = decoded_events(cells.get("events"))
            yield SimpleNamespace(events=[SimpleNamespace(received_at=at) for at, *_ in events])

    def _apply_late(self, attempt: Attempt) -> None:
        self.late -= 1
        self._apply(attempt)

    def _apply(self, attempt: Attempt) -> None:
        (minute, lane), timestamp = attempt.partition, attempt.timestamp
        if attempt.statement == INSERT_LANE:
            cells = self._lanes.setdefault(minute, {}).setdefault(lane, Cells())
            cells.put("sealed", timestamp, attempt.values[2])
            cells.put("counts", timestamp, attempt.values[3])
        else:
            static = self._static.setdefault((minute, lane), Cells())
            events = attempt.statement == INSERT_EVENTS
            static.put("counts", timestamp, attempt.values[3 if events else 2])
            static.put("total", timestamp, attempt.values[4 if events else 3])
            if events:
                rows = self._rows.setdefault((minute, lane), {})
                rows.setdefault(attempt.seq, Cells()).put("events", timestamp, attempt.values[5])
        self._applied.append(attempt)
        attempt.applied = min(attempt.applied, next(self._places))
        if attempt.statement == INSERT_EVENTS:
            self.agreed &= self.in_static_cells(attempt.partition) == self.in_rows(
                attempt.partition
            )

    async def _read(self, statement: str, values: Sequence[bytes]) -> list[Any]:
        minute = integer(values[0])
        seconds = next(self.reading)
        if seconds < 0:
            await asyncio.sleep(-seconds)
            raise OutcomeUnknown("as the script says")
        await asyncio.sleep(seconds / 2)
        if statement == SELECT_LANES:
            self.lists_read.append((minute, next(self._places)))
            rows = [
                SimpleNamespace(lane=lane, sealed=sealed, counts=counts)
                for (own, lane), (sealed, counts) in self.listed().items()
                if own == minute
            ]
        else:
            partition = minute, UUID(bytes=values[1])
            self.counts_read.append(partition)
            there = partition in self._static or partition in self._rows
            counts = self.in_static_cells(partition) if partition in self._static else None
            rows = [SimpleNamespace(counts=counts)] if there else []
        await asyncio.sleep(seconds / 2)
        return rows

    async def _read_last(self, values: Sequence[bytes]) -> list[Any]:
        partition = integer(values[0]), UUID(bytes=values[1])
        self.last_read.append(partition)
        await asyncio.sleep(0.01)
        if self.away:
            raise StoreUnavailable("a node is away")
        there = [
            one
            for one in (*self._applied, *self._alone)
            if one.statement in (INSERT_EVENTS, INSERT_COUNTS) and one.partition == partition
        ]
        writes = [one for one in there if one.statement == INSERT_EVENTS]
        if not writes:
            return [SimpleNamespace(seq=None, events=None)] if there else []
        last = max(writes, key=lambda one: (one.seq, one.timestamp))
        counted = max(there, key=lambda one: one.timestamp)
        events = [Event(*one) for one in decoded_events(last.values[5])]
        return [
            SimpleNamespace(
                seq=last.seq,
                counts=counted.counts,
                events=events,
                written=last.timestamp,
                counted=counted.timestamp,
                ttl=last.ttl,
            )
        ]
