"""The store as the receiver uses it: all its parts, and the threads that they run on."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from webhook.events import Event
from webhook.store.contract import Gauge, StartError
from webhook.store.sqlite.advice import advice
from webhook.store.sqlite.expiry import Expiry
from webhook.store.sqlite.files import WAL, beside, has_log, inode, is_private, real
from webhook.store.sqlite.guard import Guard
from webhook.store.sqlite.header import check_header, check_kind, counter
from webhook.store.sqlite.lock import Lock, Note
from webhook.store.sqlite.mounted import refuse_own_mount
from webhook.store.sqlite.opening import check_sqlite
from webhook.store.sqlite.orphan import orphaned_log
from webhook.store.sqlite.reader import Reader
from webhook.store.sqlite.schema import DamagedError
from webhook.store.sqlite.writer import Writer

log = logging.getLogger(__package__)

EXPIRY_INTERVAL_SECONDS = 1.0

T = TypeVar("T")


class SqliteStore:
    """Fulfils `webhook.store.contract.Store` with one file at `path`.

    Events older than `retention_seconds` are deleted, a few with each write and a step a second
    besides. `now` is in Unix seconds.
    """

    lanes = 1
    group_seconds = 0

    def __init__(
        self,
        path: Path,
        retention_seconds: int,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        link = path.absolute()
        self._path = path = real(link)
        self._now = now
        self._lock = Lock(path)
        self._guard = Guard(path, self._lock, link)
        self._expiry = Expiry(retention_seconds, now, monotonic)
        self._writer = Writer(self._guard, self._expiry, now)
        self._reader = Reader(self._guard)
        # One thread writes, another reads: sqlite3 calls block, and the event loop must not.
        self._writing = ThreadPoolExecutor(1, "sqlite-write")
        self._reading = ThreadPoolExecutor(1, "sqlite-read")
        self._expiring: asyncio.Task[None] | None = None
        self.reads = 0

    async def open(self) -> None:
        """Take the file, check it, create it where there is none. Raises StartError."""
        await self._on(self._writing, self._start)
        self._expiring = asyncio.create_task(self._expire_regularly())

    async def write(self, batch: Sequence[Event]) -> None:
        """See the contract."""
        await self._on(self._writing, self._writer.write, batch)

    async def counts_since(self, second: int) -> Mapping[int, int]:
        """See the contract."""
        self.reads += 1
        return await self._on(self._reading, self._reader.counts_since, second)

    async def health(self) -> None:
        """See the contract. After a failed write only a write that works counts as healthy."""
        if self._writer.failing or self._guard.changed:
            await self._on(self._writing, self._writer.probe)
        else:
            await self.counts_since(int(self._now()))

    def gauges(self) -> Iterator[Gauge]:
        """See the contract."""
        log_bytes = 0
        with suppress(OSError):
            log_bytes = beside(self._path, WAL).stat().st_size
        yield Gauge(
            "webhook_store_log_bytes",
            "Size of SQLite's log; it grows while somebody else reads the store",
            log_bytes,
        )
        yield Gauge(
            "webhook_expiry_held",
            "1 if nothing expires because the clock has jumped ahead",
            int(self._expiry.held_back),
        )

    async def close(self) -> None:
        """See the contract."""
        if self._expiring is not None:
            self._expiring.cancel()
        await self._on(self._reading, self._reader.close)
        await self._on(self._writing, self._end)
        self._reading.shutdown()
        self._writing.shutdown()

    async def _on(self, thread: ThreadPoolExecutor, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, call, *args)

    async def _expire_regularly(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(EXPIRY_INTERVAL_SECONDS)
            try:
                await self._on(self._writing, self._writer.expire)
            except Exception as error:  # by it the files are looked at, too, so it goes on
                if said != (said := repr(error)):
                    log.exception("nothing expires at the moment")

    # On the thread that writes

    def _start(self) -> None:
        check_sqlite()
        check_kind(self._path)
        before = self._lock.take()
        path = self._path
        try:
            if reason := orphaned_log(path, before, counter(path)):
                raise StartError(reason)
            check_header(path)
            refuse_own_mount(path)
            self._lock.hold()
            # Before the first write: no note of another file, or of a later state, for a new log.
            self._lock.write(before if has_log(path) else Note(inode(path), counter(path)))
            self._writer.start()
            self._reader.start()
            self._guard.begin()
            if (names := path.stat().st_nlink) > 1:
                log.warning(
                    "%s has %d names (hard links): under another one its log is not found; "
                    "make it a copy, if that is what the other is for",
                    path,
                    names,
                )
            if not is_private(path):
                log.warning("other users of this machine can read %s; chmod o= %s*", path, path)
        except (OSError, sqlite3.Error, DamagedError) as error:
            self._reader.close()
            self._end()
            raise StartError(f"{path}: {error}; {advice(path, error)}") from error
        except StartError:
            self._end()
            raise

    def _end(self) -> None:
        self._writer.end()
        self._lock.release()
