"""The ring as a store: connecting, sharing the lanes out, sealing what is left behind."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence

from webhook.clock import MICROSECONDS
from webhook.events import Event
from webhook.store.cassandra.lane import MINUTE, Lane, Statements
from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.url import RingSettings
from webhook.store.cassandra.window import WindowReader
from webhook.store.contract import OutcomeUnknown, StartError, StoreUnavailable

log = logging.getLogger(__name__)

WRITE_SECONDS = 10.0  # a write is repeated for so long before its outcome is called unknown
REPEAT_SECONDS = 120.0  # and then in the background
MOST_REPEATED = 16  # writes in the background at once
CONNECT_EVERY_SECONDS = 1.0
SEAL_AFTER_SECONDS = 20  # of its minute's end an idle lane is sealed: no event of it can still come


class CassandraStore:
    """Fulfils `webhook.store.contract.Store`.

    It opens whether the ring is there or not, and is unavailable until it is.
    """

    group_seconds = MINUTE

    def __init__(self, settings: RingSettings, retention_seconds: int) -> None:
        self.lanes = settings.lanes
        self._settings = settings
        self._retention = retention_seconds
        self._ring = Ring(settings)
        self._reason = "not connected to the ring yet"
        self._statements: Statements | None = None
        self._reader: WindowReader | None = None
        self._idle: list[Lane] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._repeating = 0
        self._failing = False
        self._proven = False  # whether a write has worked since the last that did not
        self._newest = 0  # the last minute that was written to

    @property
    def reads(self) -> int:
        """See the contract."""
        return self._reader.reads if self._reader is not None else 0

    async def open(self) -> None:
        """Begin to connect. Raises StartError where no waiting will help."""
        self._ring.check()
        self._spawn(self._keep_connecting())
        self._spawn(self._seal_idle_lanes())

    async def write(self, batch: Sequence[Event]) -> None:
        """See the contract; `batch` is of one minute."""
        lane = self._idle.pop() if self._idle else self._new_lane()
        self._newest = max(self._newest, batch[0].received_at // MICROSECONDS // MINUTE)
        try:
            await lane.write(batch)
        except StoreUnavailable as error:
            self._idle.append(lane)
            self._failed(error)
            raise
        except OutcomeUnknown as error:
            self._repeat_in_background(lane)
            self._failed(error)
            raise
        # After anything else, cancellation above all, nobody knows what the partition holds: the
        # lane is not used again, and not sealed.
        self._idle.append(lane)
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
        return await self._connected().counts_since(second, self._newest)

    async def health(self) -> None:
        """See the contract. A read, and also a write unless the last one worked."""
        await self._connected().check()
        if not self._proven:
            try:
                await self._new_lane().probe()
            except OutcomeUnknown as error:
                raise StoreUnavailable(f"can't write to the ring: {error}") from error
            self._worked()

    async def close(self) -> None:
        """See the contract. Lanes are sealed, so that readers need not look at them again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(lane.seal() for lane in self._idle))
        await asyncio.to_thread(self._ring.close)

    # Connecting

    def _connect(self) -> None:
        self._ring.connect()
        try:
            self._statements, self._reader = Statements(self._ring), WindowReader(self._ring)
        except BaseException:
            self._ring.close()
            raise

    async def _keep_connecting(self) -> None:
        while self._reader is None:
            try:
                await asyncio.to_thread(self._connect)
            except (StoreUnavailable, StartError) as error:
                if str(error) != self._reason:
                    log.warning("%s; trying again until it works", error)
                self._reason = str(error)
                await asyncio.sleep(CONNECT_EVERY_SECONDS)
        log.info("connected to the ring")

    def _connected(self) -> WindowReader:
        if self._reader is None:
            raise StoreUnavailable(self._reason)
        return self._reader

    # Lanes

    def _new_lane(self) -> Lane:
        if self._statements is None:
            raise StoreUnavailable(self._reason)
        return Lane(self._ring, self._statements, self._retention, WRITE_SECONDS)

    def _repeat_in_background(self, lane: Lane) -> None:
        if self._repeating >= MOST_REPEATED:
            log.warning("too many writes of unknown outcome are being repeated: one is given up")
            return
        self._repeating += 1
        self._spawn(self._repeat(lane))

    async def _repeat(self, lane: Lane) -> None:
        try:
            stored = await lane.repeat(REPEAT_SECONDS)
        finally:
            self._repeating -= 1
        log.info("a write of unknown outcome was %s", "stored" if stored else "given up")

    async def _seal_idle_lanes(self) -> None:
        while True:
            await asyncio.sleep(1)
            done = (int(time.time()) - SEAL_AFTER_SECONDS) // MINUTE
            while (lane := self._left_in(done)) is not None:
                self._idle.remove(lane)
                await lane.seal()
                self._idle.append(lane)

    def _left_in(self, done: int) -> Lane | None:
        """An idle lane in a minute before `done`; a sealed one is in none."""
        return next(
            (one for one in self._idle if one.minute is not None and one.minute < done), None
        )

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
