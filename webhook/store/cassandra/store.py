"""The ring as a store: connects, assigns lanes, and seals lanes that are left behind."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence

from webhook.clock import MICROSECONDS
from webhook.events import Event
from webhook.store.cassandra.keeper import Keeper
from webhook.store.cassandra.lane import (
    LANE_STATEMENTS,
    MINUTE,
    RECOUNTED_MINUTES,
    SEAL_AFTER_SECONDS,
    Lane,
    largest_body,
)
from webhook.store.cassandra.patience import patiently
from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.settling import SELECT_LAST, Settler
from webhook.store.cassandra.url import RingSettings
from webhook.store.cassandra.watch import Watch
from webhook.store.cassandra.window import SELECT_COUNTS, SELECT_LANES, WindowReader
from webhook.store.contract import Gauge, OutcomeUnknown, StoreUnavailable

log = logging.getLogger(__name__)

WRITE_SECONDS = 10.0  # a write is repeated for so long before its outcome is called unknown
REPEAT_SECONDS = 120.0  # and then in the background
MOST_REPEATED = 16  # writes in the background at once
STATEMENTS = (*LANE_STATEMENTS, SELECT_LANES, SELECT_COUNTS, SELECT_LAST)


class CassandraStore:
    """Fulfils `webhook.store.contract.Store`.

    It opens whether the ring is there or not, and is unavailable until it is.
    """

    group_seconds = MINUTE

    def __init__(self, settings: RingSettings, retention_seconds: int) -> None:
        self.lanes = settings.lanes
        self._retention = retention_seconds
        self._ring = Ring(settings, STATEMENTS)
        self._reader = WindowReader(self._ring)
        self._settler = Settler(self._ring)
        self._watch = Watch(self._ring, self._begin_anew)
        self._idle: list[Lane] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: list[tuple[float, Lane]] = []
        self._epoch = 0  # of the tables: they were emptied or made again so often
        self._repeating = 0
        self._failing = False
        self._proven = False  # whether a write has worked since the last that did not
        self._newest = 0  # the last minute that was written to

    @property
    def reads(self) -> int:
        """See the contract."""
        return self._reader.reads

    async def open(self) -> None:
        """Begin to connect. Raises StartError if no waiting will help."""
        self._ring.check()
        self._spawn(Keeper(self._ring).run())
        self._spawn(self._watch.run())
        self._spawn(self._seal_idle_lanes())
        self._spawn(self._settle())

    async def write(self, batch: Sequence[Event]) -> None:
        """See the contract; `batch` is of one minute."""
        lane, epoch = self._idle.pop() if self._idle else self._new_lane(), self._epoch
        self._newest = max(self._newest, batch[0].received_at // MICROSECONDS // MINUTE)
        try:
            await patiently(lambda: lane.write(batch), lambda: self._proven)
        except StoreUnavailable as error:
            self._put_back(lane, epoch)
            self._failed(error)
            raise
        except OutcomeUnknown as error:
            self._repeat_in_background(lane, epoch)
            self._failed(error)
            raise
        # After anything else, cancellation above all, nobody knows what the partition holds: the
        # lane is not used again, and not sealed.
        self._put_back(lane, epoch)
        self._worked()

    def _worked(self) -> None:
        if self._failing:
            log.warning("writing to the ring works again")
        self._failing, self._proven = False, True

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.warning("can't write to the ring, answering 503 until it works: %s", error)
        self._failing, self._proven = True, False

    async def counts_since(self, second: int) -> Mapping[int, int]:
        """See the contract."""
        return await self._reader.counts_since(second, self._newest)

    async def health(self) -> None:
        """See the contract. A read, and also a write unless the last one worked."""
        await self._reader.check()
        await self._watch.check()
        if not self._proven:
            try:
                await self._new_lane().probe()
            except OutcomeUnknown as error:
                raise StoreUnavailable(f"can't write to the ring: {error}") from error
            self._worked()

    def largest_body(self, array_events: int) -> int:
        """See the contract."""
        return largest_body(array_events)

    def gauges(self) -> Iterable[Gauge]:
        """See the contract."""
        return self._watch.gauges()

    async def close(self) -> None:
        """See the contract. Lanes are sealed, so that readers need not look at them again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if any(lane.minute is not None for lane in self._idle):
            await self._watch.look()  # whether the tables are still those that they wrote to
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(lane.seal() for lane in self._idle))
        await asyncio.to_thread(self._ring.close)

    # Lanes

    def _new_lane(self) -> Lane:
        if self._ring.link is None:
            raise StoreUnavailable(self._ring.trouble)
        return Lane(self._ring, self._retention, WRITE_SECONDS)

    def _put_back(self, lane: Lane, epoch: int) -> None:
        """`epoch` is the epoch at the moment when the lane was taken."""
        if epoch == self._epoch:
            self._idle.append(lane)
        else:
            self._leave(lane, epoch)

    def _begin_anew(self) -> None:
        """The tables were emptied, restored or made again: trust nothing that is remembered."""
        log.warning("the tables have changed: counting again, and continuing in new lanes")
        self._epoch += 1
        self._reader.forget()
        self._settler.forget()
        lanes = [*self._idle, *(lane for _, lane in self._left)]
        self._idle, self._left = [], []
        for lane in lanes:
            self._leave(lane, self._epoch - 1)

    def _leave(self, lane: Lane, epoch: int) -> None:
        """Stop using the lane. If tables changed meanwhile, list what they still have of it.

        That is done again if they change once more soon: a table is emptied after the other.
        """
        now = time.monotonic()
        since = now - RECOUNTED_MINUTES * MINUTE
        self._left = [one for one in self._left if one[0] > since]
        self._left.append((now, lane))
        if epoch != self._epoch:
            self._spawn(self._recount(lane))

    async def _recount(self, lane: Lane) -> None:
        try:
            await lane.recount()
        except (StoreUnavailable, OutcomeUnknown) as error:
            log.warning("what a lane wrote last may not be counted: %s", error)

    def _repeat_in_background(self, lane: Lane, epoch: int) -> None:
        if self._repeating >= MOST_REPEATED:
            log.warning("too many writes of unknown outcome are being repeated: one is given up")
            return
        self._repeating += 1
        self._spawn(self._repeat(lane, epoch))

    async def _repeat(self, lane: Lane, epoch: int) -> None:
        try:
            stored = await lane.repeat(REPEAT_SECONDS)
        finally:
            self._repeating -= 1
        log.info("a write of unknown outcome was %s", "stored" if stored else "given up")
        if stored:
            self._leave(lane, epoch)

    async def _seal_idle_lanes(self) -> None:
        while True:
            await asyncio.sleep(1)
            done = (int(time.time()) - SEAL_AFTER_SECONDS) // MINUTE
            while (lane := self._left_in(done)) is not None:
                self._idle.remove(lane)
                epoch = self._epoch
                await lane.seal()
                self._put_back(lane, epoch)

    async def _settle(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self._settler.settle(self._reader.unsealed())

    def _left_in(self, done: int) -> Lane | None:
        """An idle lane in a minute before `done`; a sealed one is in none."""
        return next(
            (one for one in self._idle if one.minute is not None and one.minute < done), None
        )

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
