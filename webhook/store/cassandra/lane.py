"""A lane: a strictly sequential writer of one partition after another.

These rules make counts exact without counters:

1. One write is in flight; the next begins only after the last has succeeded. So the lane knows what
   its partition has, and can write the *absolute* counts of its minute with each write, in the same
   mutation as the events.
2. A lane's id is a fresh UUID, and it enters a minute once: no two writers share a partition, and
   none returns to it.
3. A repeat is the same mutation: same row, same cells, same timestamp. However often and however
   late it arrives, it changes nothing. Timestamps rise strictly within a lane, so a late repeat
   never covers newer counts.
4. Before its first write of a minute the lane is listed in `lanes`, at most `JOINED_SECONDS` after
   the minute's end: afterwards readers need not look for new lanes. After the last acknowledged
   write it is sealed there, with its final counts: afterwards readers need not read it.
5. A write whose outcome stays unknown ends the lane, because no later write may build on counts
   that may not be there. The write is repeated in the background for a while, and the lane is never
   sealed, so readers keep reading it. If nobody is left to repeat it, readers do (`settling`).
6. If the tables were emptied or made again, nobody knows what the lane's partition has: the lane is
   not used again, and its last minutes are listed again, with the counts of the existing rows.
"""

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from webhook.clock import MICROSECONDS
from webhook.events import Event
from webhook.store.cassandra.codec import (
    EVENT_BYTES,
    encode_bigint,
    encode_counts,
    encode_events,
    encode_int,
)
from webhook.store.cassandra.ring import Ring
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

log = logging.getLogger(__name__)

MINUTE = 60
JOINED_SECONDS = 60  # after its end no lane joins a minute any more
SEAL_AFTER_SECONDS = 20  # of its minute's end an idle lane is sealed: no event of it can still come
PROBE_TTL_SECONDS = 60
PARTITION_EVENTS = 100_000  # beyond these the lane continues under a new id
PARTITION_BYTES = 32 << 20
# What a node takes in one message: a 40th of its heap of 512 MB, 12.8 MiB, less some for the rest.
LARGEST_WRITE_BYTES = 12 << 20
BESIDE_EVENTS_BYTES = 4096  # of a write: counts, key, timestamps
SHORTEST_EVENT_BYTES = len('{"type":"x"},')
FIRST_PAUSE_SECONDS = 0.05  # between repeats; doubled each time
LONGEST_PAUSE_SECONDS = 1.0

INSERT_EVENTS = (
    "INSERT INTO {}.events (minute, lane, seq, counts, total, events) VALUES (?, ?, ?, ?, ?, ?) "
    "USING TTL ? AND TIMESTAMP ?"
)
INSERT_LANE = (
    "INSERT INTO {}.lanes (minute, lane, sealed, counts) VALUES (?, ?, ?, ?) "
    "USING TTL ? AND TIMESTAMP ?"
)
INSERT_COUNTS = (
    "INSERT INTO {}.events (minute, lane, counts, total) VALUES (?, ?, ?, ?) "
    "USING TTL ? AND TIMESTAMP ?"
)
SELECT_EVENTS = "SELECT events FROM {}.events WHERE minute = ? AND lane = ?"
LANE_STATEMENTS = (INSERT_EVENTS, INSERT_LANE, INSERT_COUNTS, SELECT_EVENTS)
LANES_OUTLIVE_SECONDS = 3600
RECOUNTED_MINUTES = 3  # what is older was there when the tables were emptied, and is not now
_TRUE, _FALSE = b"\1", b"\0"


def largest_body(array_events: int) -> int:
    """Bytes of the largest body of a POST, of at most so many events, that fits into one write.

    Beside the body itself a write has its texts of `type` and `call_id`: up to as much again.
    """
    room = LARGEST_WRITE_BYTES - BESIDE_EVENTS_BYTES
    if_few = (room - array_events * EVENT_BYTES) / 2
    if_many = room / (2 + EVENT_BYTES / SHORTEST_EVENT_BYTES)
    return int(max(if_few, if_many))


def event_row(
    minute: int,
    lane: bytes,
    seq: int,
    counts: Mapping[int, int],
    cell: bytes,
    ttl: int,
    timestamp: int,
) -> list[bytes]:
    """The values of INSERT_EVENTS: `counts` by second of the minute, `cell` of the events."""
    return [
        encode_int(minute),
        lane,
        encode_int(seq),
        encode_counts(counts),
        encode_int(sum(counts.values())),
        cell,
        encode_int(ttl),
        encode_bigint(timestamp),
    ]


class Lane:
    """One lane. `write` must not be called before the call before it has returned."""

    def __init__(self, ring: Ring, retention_seconds: int, write_seconds: float) -> None:
        self._ring = ring
        self._ttl = retention_seconds
        self._write_seconds = write_seconds
        self._id = uuid.uuid4().bytes
        self._timestamp = 0
        self._seq = 0
        self._bytes = 0
        self._counts: Counter[int] = Counter()
        self._unsettled: list[bytes] = []
        self._entered: list[tuple[int, bytes]] = []
        self._recounting = asyncio.Lock()
        self.minute: int | None = None
        """The minute that it is in (Unix time // 60), None outside of minutes."""
        self.ended = False
        """Whether a write's outcome stayed unknown: the lane must not be used again."""

    async def write(self, events: Sequence[Event]) -> None:
        """Write `events`, which are of one minute; returning means a quorum has them, synced.

        Raises StoreUnavailable if none of them is stored, OutcomeUnknown if that stayed unknown:
        the lane has ended then.
        """
        minute = events[0].received_at // MICROSECONDS // MINUTE
        if minute != self.minute or self._is_full():
            await self._enter(minute)
        counts = self._counts.copy()
        counts.update(event.received_at // MICROSECONDS % MINUTE for event in events)
        cell = encode_events(events)
        values = self._row(minute, counts, cell, self._ttl)
        try:
            await self._persist(INSERT_EVENTS, values, self._write_seconds)
        except OutcomeUnknown:
            self.ended = True
            self._unsettled = values
            raise
        self._counts = counts
        self._seq += 1
        self._bytes += len(cell)

    async def probe(self) -> None:
        """Write a row as events are written, once, of no event and in a partition not listed.

        Raises StoreUnavailable or OutcomeUnknown.
        """
        minute = int(time.time()) // MINUTE
        values = self._row(minute, Counter(), encode_events([]), PROBE_TTL_SECONDS)
        await self._ring.execute(INSERT_EVENTS, values)

    async def repeat(self, seconds: float) -> bool:
        """Go on repeating the write whose outcome stayed unknown; whether it was stored in time."""
        try:
            await self._persist(INSERT_EVENTS, self._unsettled, seconds, definite=False)
        except OutcomeUnknown:
            return False
        return True

    async def seal(self) -> None:
        """Say that no write to the lane's minute will follow, and leave it.

        Where that can't be said, readers look at the lane for as long as it is in the window.
        """
        if self.minute is None or self.ended:
            return
        minute, lane, counts = self.minute, self._id, encode_counts(self._counts)
        self._renew()
        try:
            await self._list(minute, lane, _TRUE, counts)
        except (StoreUnavailable, OutcomeUnknown) as error:
            log.info("a lane stays unsealed: %s", error)

    async def recount(self) -> None:
        """Rule 6. Raises StoreUnavailable or OutcomeUnknown."""
        async with self._recounting:
            for minute, lane in self._entered:
                counts = await asyncio.to_thread(self._stored, minute, lane)
                if counts:
                    values = [encode_int(minute), lane, encode_counts(counts)]
                    values += [encode_int(counts.total()), encode_int(self._ttl)]
                    values.append(encode_bigint(self._next_timestamp()))
                    await self._persist(INSERT_COUNTS, values, self._write_seconds)
                await self._list(minute, lane, _TRUE, encode_counts(counts))

    def _stored(self, minute: int, lane: bytes) -> Counter[int]:
        """The counts of the rows that are there, by second of the minute; blocks."""
        rows = self._ring.pages(SELECT_EVENTS, [encode_int(minute), lane])
        return Counter(
            event.received_at // MICROSECONDS % MINUTE for row in rows for event in row.events or ()
        )

    def _row(self, minute: int, counts: Counter[int], cell: bytes, ttl: int) -> list[bytes]:
        return event_row(minute, self._id, self._seq, counts, cell, ttl, self._next_timestamp())

    def _is_full(self) -> bool:
        return self._counts.total() >= PARTITION_EVENTS or self._bytes >= PARTITION_BYTES

    def _renew(self) -> None:
        self._id = uuid.uuid4().bytes
        self._seq = self._bytes = 0
        self._counts = Counter()
        self.minute = None

    async def _enter(self, minute: int) -> None:
        """Leave one minute, sealed, and be listed in another, under a new id."""
        sealing = self.seal()  # renews the id, once it is begun
        _, listing = await asyncio.gather(sealing, self._join(minute), return_exceptions=True)
        if isinstance(listing, BaseException):
            raise listing
        if time.time() > (minute + 1) * MINUTE + JOINED_SECONDS:
            self._renew()
            raise StoreUnavailable("too long after the minute in which the events were received")
        self.minute = minute
        self._entered = [one for one in self._entered if one[0] > minute - RECOUNTED_MINUTES]
        self._entered.append((minute, self._id))

    async def _join(self, minute: int) -> None:
        try:
            await self._list(minute, self._id, _FALSE, encode_counts({}))
        except OutcomeUnknown as error:
            self._renew()
            raise StoreUnavailable(f"the lane could not be listed: {error}") from error

    async def _list(self, minute: int, lane: bytes, sealed: bytes, counts: bytes) -> None:
        ttl = encode_int(self._ttl + LANES_OUTLIVE_SECONDS)
        values = [encode_int(minute), lane, sealed, counts, ttl]
        values.append(encode_bigint(self._next_timestamp()))
        await self._persist(INSERT_LANE, values, self._write_seconds / 2)

    async def _persist(
        self,
        statement: str,
        values: Sequence[bytes],
        seconds: float,
        *,
        definite: bool = True,
    ) -> None:
        """Repeat one and the same mutation until it succeeds or time is up.

        Only the first attempt can fail with certainty: once there was another, the ring's refusal
        says nothing about the one before. `definite` is False if there was one already.
        """
        deadline = time.monotonic() + seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._ring.execute(statement, values)
            except StoreUnavailable as error:
                if definite:
                    raise
                failure: Exception = error
            except OutcomeUnknown as error:
                failure = error
            else:
                return
            definite = False
            if time.monotonic() + pause > deadline:
                raise OutcomeUnknown(str(failure)) from failure
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _next_timestamp(self) -> int:
        """Microseconds of Unix time that rise strictly, whatever the machine's clock does."""
        self._timestamp = max(self._timestamp + 1, time.time_ns() // 1000)
        return self._timestamp
