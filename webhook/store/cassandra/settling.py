"""Settling: give the last write of a dead lane as many copies as every other write has.

A write reaches a quorum of nodes, or its lane repeats it. If the receiver dies meanwhile together
with the node that it had asked, the write may have reached only one node, and nobody repeats it.
Then a count includes it or not, depending on the nodes that are read.

Only the last write of a lane can be affected, because those before it were acknowledged (rule 1 of
`lane`), and the lane was never sealed (rules 4 and 5). So for each lane that is still unsealed long
after it should have been sealed, the last write is read from *all* nodes and written again
unchanged: same cells, same timestamp (rule 3). This does no harm to a lane that still lives.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from webhook.store.cassandra.codec import decode_counts, encode_events, encode_int
from webhook.store.cassandra.lane import INSERT_EVENTS, MINUTE, SEAL_AFTER_SECONDS, event_row
from webhook.store.cassandra.ring import Ring
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

log = logging.getLogger(__name__)

AFTER_SECONDS = (SEAL_AFTER_SECONDS + 20, 240)
"""After the end of a lane's minute: when it is sealed if its receiver lives; and once more, when
that has given up repeating even the last of the minute's writes."""
PAUSE_SECONDS = 10.0  # while not all nodes answer

SELECT_LAST = (
    "SELECT seq, counts, events, WRITETIME(events) AS written, "
    "WRITETIME(counts) AS counted, TTL(events) AS ttl "
    "FROM {}.events WHERE minute = ? AND lane = ? ORDER BY seq DESC LIMIT 1"
)


class Settler:
    """Settles the lanes that it is given, each once at every age of `AFTER_SECONDS`."""

    def __init__(self, ring: Ring, now: Callable[[], float] = time.time) -> None:
        self._ring = ring
        self._now = now
        self._settled: dict[tuple[int, Any], int] = {}
        """By minute and lane: how many of the ages are done."""
        self._not_before = 0.0
        self._told = False

    def forget(self) -> None:
        """Settle everything again: the tables have changed."""
        self._settled = {}

    async def settle(self, unsealed: Iterable[tuple[int, Any]]) -> None:
        """Settle those of these lanes, by minute and id, that have reached an age.

        Only these may need it: others are forgotten. If a node is away, it is postponed.
        """
        known = {one: self._settled.get(one, 0) for one in unsealed}
        self._settled = known
        if time.monotonic() < self._not_before:
            return
        for (minute, lane), done in known.items():
            age = self._now() - (minute + 1) * MINUTE
            reached = sum(age >= after for after in AFTER_SECONDS)
            if reached <= done:
                continue
            try:
                await self._write_again(minute, lane.bytes)
            except (StoreUnavailable, OutcomeUnknown) as error:
                if not self._told:
                    log.info("lanes are settled when all nodes answer: %s", error)
                self._told = True
                self._not_before = time.monotonic() + PAUSE_SECONDS
                return
            known[minute, lane], self._told = reached, False

    async def _write_again(self, minute: int, lane: bytes) -> None:
        key = [encode_int(minute), lane]
        for row in await self._ring.execute(SELECT_LAST, key, every_copy=True):
            if row.events is None or row.written != row.counted:
                continue  # none was written, or the lane was counted again (rule 6)
            counts, cell = decode_counts(row.counts), encode_events(row.events)
            values = event_row(minute, lane, row.seq, counts, cell, row.ttl or 0, row.written)
            await self._ring.execute(INSERT_EVENTS, values)
            log.info("settled the last write of a lane that nobody sealed")
