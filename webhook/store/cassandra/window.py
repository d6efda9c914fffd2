"""Counting: a few small cells per minute, never the events.

For each minute of the window, the list of lanes is read, then the counts of every unsealed lane; a
sealed lane's counts are in the list itself. What can't change any more is remembered: a sealed
lane's counts, and a minute's list of lanes once no lane can still join it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.clock import SKEW_SECONDS
from webhook.store.cassandra.codec import decode_counts, encode_int
from webhook.store.cassandra.lane import JOINED_SECONDS, MINUTE
from webhook.store.cassandra.patience import patiently
from webhook.store.cassandra.ring import Ring
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

SELECT_LANES = "SELECT lane, sealed, counts FROM {}.lanes WHERE minute = ?"
SELECT_COUNTS = "SELECT DISTINCT minute, lane, counts FROM {}.events WHERE minute = ? AND lane = ?"

Counts = Mapping[int, int]


@dataclass(slots=True)
class Minute:
    """What is known of one minute's lanes."""

    sealed: dict[Any, Counts] = field(default_factory=dict)
    """By lane: counts by second of the minute, final."""
    unsealed: set[Any] = field(default_factory=set)
    complete: bool = False
    """Whether no lane can still join."""


class WindowReader:
    """Reads counts per second; remembers what is final, as long as it is asked for."""

    def __init__(self, ring: Ring, now: Callable[[], float] = time.time) -> None:
        self._ring = ring
        self._now = now
        self._minutes: dict[int, Minute] = {}
        self._proven = False  # whether the last read worked
        self.reads = 0
        """Statements sent so far in order to count."""

    def forget(self) -> None:
        """Read everything again from now on."""
        self._minutes = {}

    def unsealed(self) -> list[tuple[int, Any]]:
        """The lanes that were not sealed when they were last looked at, by minute and id."""
        return [(minute, one) for minute, known in self._minutes.items() for one in known.unsealed]

    async def check(self) -> None:
        """Return if a quorum answers. Raises StoreUnavailable."""
        await self._ask(SELECT_LANES, [encode_int(int(self._now()) // MINUTE)])

    async def counts_since(self, second: int, newest: int = 0) -> dict[int, int]:
        """Events by second of receipt, from `second` on. Raises StoreUnavailable.

        It looks as far ahead as another's clock may be, and at the minute `newest` in any case.
        """
        first = second // MINUTE
        last = max((int(self._now()) + SKEW_SECONDS) // MINUTE, newest)
        for old in [minute for minute in self._minutes if minute < first]:
            del self._minutes[old]
        read = await asyncio.gather(*(self._read(minute) for minute in range(first, last + 1)))
        counts: Counter[int] = Counter()
        for minute, lanes in zip(range(first, last + 1), read, strict=True):
            for lane in lanes:
                for offset, events in lane.items():
                    at = minute * MINUTE + offset
                    if at >= second:
                        counts[at] += events
        return counts

    async def _read(self, minute: int) -> list[Counts]:
        known = self._minutes.setdefault(minute, Minute())
        if not known.complete:
            began = self._now()
            await self._list(minute, known)
            known.complete = began >= (minute + 1) * MINUTE + SKEW_SECONDS + JOINED_SECONDS
        elif known.unsealed and self._now() < (minute + 3) * MINUTE:
            await self._list(minute, known)  # they may be sealed by now
        # As of now: while these are read, another reader may find one of them sealed.
        sealed, unsealed = [*known.sealed.values()], [*known.unsealed]
        return sealed + await asyncio.gather(*(self._one(minute, lane) for lane in unsealed))

    async def _list(self, minute: int, known: Minute) -> None:
        rows = await self._execute(SELECT_LANES, [encode_int(minute)])
        for row in rows:
            if row.sealed:
                known.sealed[row.lane] = decode_counts(row.counts)
                known.unsealed.discard(row.lane)
            elif row.lane not in known.sealed:
                known.unsealed.add(row.lane)

    async def _one(self, minute: int, lane: Any) -> Counts:
        """The counts of a lane that may still be writing."""
        rows = await self._execute(SELECT_COUNTS, [encode_int(minute), lane.bytes])
        return decode_counts(rows[0].counts) if rows else {}

    async def _execute(self, statement: str, values: list[bytes]) -> list[Any]:
        self.reads += 1
        return await self._ask(statement, values)

    async def _ask(self, statement: str, values: list[bytes]) -> list[Any]:
        try:
            rows = await patiently(lambda: self._attempt(statement, values), lambda: self._proven)
        except StoreUnavailable:
            self._proven = False
            raise
        self._proven = True
        return rows

    async def _attempt(self, statement: str, values: list[bytes]) -> list[Any]:
        try:
            return await self._ring.execute(statement, values)
        except OutcomeUnknown as error:  # a read changes nothing: it may simply be asked again
            raise StoreUnavailable(f"the ring does not answer: {error}") from error
