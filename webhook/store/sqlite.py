"""The embedded store: one SQLite file, for one machine and one process.

A write is one transaction that holds the events and their counts per second, so a count is always
the number of rows. WAL with `synchronous=FULL` syncs the log before COMMIT returns. Events go in
by a single statement that unpacks a JSON array: sqlite3 lets go of Python's lock once per
statement, not once per row, and the event loop runs on beside it.

Nothing is acknowledged into a file that is no longer at its path: see `files`. From then on every
write is refused, until the same file is back or another start. The same holds for one that was
overwritten at its place: see `overwritten`. So that no copying of the log hides it, the log is
copied here, with a look before and after, and not by SQLite along with a COMMIT.

Schema:

- `events(id, received_at, type, call_id, body)`: `id` grows in order of arrival, `received_at` is
  in microseconds since the Unix epoch, `body` is the JSON object as it came.
- `counts(second, events)`: events per second of receipt.
"""

import asyncio
import ctypes
import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from webhook.clock import MICROSECONDS
from webhook.events import Event
from webhook.store.contract import Gauge, OutcomeUnknown, StartError, StoreUnavailable
from webhook.store.expiry import CONFIRM_SECONDS, ElapsedTime
from webhook.store.files import (
    APPLICATION_ID,
    LOCK,
    LOOK_SECONDS,
    WAL,
    DamagedError,
    LogIndex,
    Note,
    OpenFiles,
    advice,
    beside,
    has_log,
    identity,
    orphaned_log,
)
from webhook.store.overwritten import Watch, counter

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
OLDEST_SQLITE = (3, 33, 0)  # JSON functions, UPSERT, quick_check of one table
CHECKED_WHOLE_BYTES = 64 << 20  # files up to this size are checked whole at start
EXPIRY_STEP = 1000  # events deleted at once, beside those that go with a write
EXPIRY_INTERVAL_SECONDS = 1.0
COPIED_FRAMES = 1000  # a log of so many pages is copied into the store, as SQLite would by itself
LARGEST_IDLE_LOG_BYTES = 16 << 20  # it grows as long as somebody reads, and is cut back to this

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    call_id TEXT,
    body TEXT NOT NULL
);
CREATE TABLE counts (second INTEGER PRIMARY KEY, events INTEGER NOT NULL);
CREATE TABLE probe (id INTEGER PRIMARY KEY, probed_at REAL NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_INSERT = """
INSERT INTO events (received_at, type, call_id, body)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
       json_extract(value, '$[2]'), json_extract(value, '$[3]')
FROM json_each(?)
"""
_COUNT = """
INSERT INTO counts (second, events)
SELECT received_at / 1000000, count(*) FROM events WHERE id > ? GROUP BY 1
ON CONFLICT (second) DO UPDATE SET events = events + excluded.events
"""
_NEWEST = "SELECT received_at FROM events ORDER BY id DESC LIMIT 1"
# Counts go with the events, event by event, so that they are the same number at every moment.
_UNCOUNT = """
UPDATE counts SET events = events - gone.number FROM (
    SELECT received_at / 1000000 AS second, count(*) AS number FROM events
    WHERE received_at < :before AND id <= (
        SELECT max(id) FROM (SELECT id FROM events ORDER BY id LIMIT :step)
    ) GROUP BY 1
) AS gone WHERE counts.second = gone.second
"""
_EXPIRE_EVENTS = """
DELETE FROM events WHERE received_at < :before AND id <= (
    SELECT max(id) FROM (SELECT id FROM events ORDER BY id LIMIT :step)
)
"""
_COUNTS_SINCE = "SELECT json_group_object(second, events) FROM counts WHERE second >= ?"
_decode_counts = msgspec.json.Decoder(dict[int, int]).decode
_WAY_BACK = (
    "Put the same files back and it goes on; or stop it, put the store in order (docs/stores.md), "
    "and start it. As long as it runs, what it has stored can be copied from /proc/%d/fd"
)
_NO_WAY_BACK = "Stop it, put the store in order (docs/stores.md), and start it"

T = TypeVar("T")


class SqliteStore:
    """Fulfils `webhook.store.contract.Store` with one file at `path`.

    Events older than `retention_seconds` are deleted, a few with each write and a step a second
    besides; `expiry` says by which time. `now` is in Unix seconds.
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
        self._path = path
        self._retention = retention_seconds
        self._now = now
        self._monotonic = monotonic
        self._elapsed = ElapsedTime(None, now(), monotonic())
        self._held_back = False
        # One thread writes, another reads: sqlite3 calls block, and the event loop must not.
        self._writer = ThreadPoolExecutor(1, "sqlite-write")
        self._reader = ThreadPoolExecutor(1, "sqlite-read")
        self._write_db: sqlite3.Connection | None = None
        self._read_db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._files = OpenFiles(path, ())
        self._watch: Watch | None = None
        self._index: LogIndex | None = None
        """Open as long as the watch."""
        self._salts = b""
        """Of the log at the last write."""
        self._copied = (b"", 0.0)
        """The salts of the log that was copied last, and when."""
        self._connections = 0
        """Open ones, with those that are just being opened."""
        self._overwritten: str | None = None
        """Which of the files was written by somebody else; that can't be mended here."""
        self._noted = Note()
        self._looked_at = 0.0
        self._looking = threading.Lock()  # both threads look, open and close
        self._changed: str | None = None
        """What was done to the files since they were opened; None if nothing."""
        self._failing = False
        self.reads = 0
        self._expiry: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the file, check it, create it where there is none. Raises StartError."""
        await self._on(self._writer, self._start)
        self._expiry = asyncio.create_task(self._expire_regularly())

    async def write(self, batch: Sequence[Event]) -> None:
        """See the contract."""
        await self._on(self._writer, self._write, batch)

    async def counts_since(self, second: int) -> Mapping[int, int]:
        """See the contract."""
        self.reads += 1
        return await self._on(self._reader, self._counts_since, second)

    async def health(self) -> None:
        """See the contract. After a failed write only a write that works counts as healthy."""
        if self._failing or self._changed:
            await self._on(self._writer, self._probe)
        else:
            await self.counts_since(int(self._now()))

    def gauges(self) -> Iterator[Gauge]:
        """See the contract."""
        log_bytes = 0
        with suppress(OSError):
            log_bytes = beside(self._path, WAL).stat().st_size
        yield Gauge(
            "webhook_store_log_bytes",
            "Size of SQLite's log; it grows as long as somebody else reads the store",
            log_bytes,
        )
        yield Gauge(
            "webhook_expiry_held",
            "1 if nothing expires because the clock has jumped ahead",
            int(self._held_back),
        )

    async def close(self) -> None:
        """See the contract."""
        if self._expiry is not None:
            self._expiry.cancel()
        await self._on(self._reader, self._close_reader)
        await self._on(self._writer, self._close_writer)
        self._reader.shutdown()
        self._writer.shutdown()

    async def _on(self, thread: ThreadPoolExecutor, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, call, *args)

    # Start

    def _start(self) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            needed = ".".join(map(str, OLDEST_SQLITE))
            raise StartError(
                f"SQLite {sqlite3.sqlite_version} is too old: use a Python with {needed} or later"
            )
        before = self._take_lock()
        try:
            if reason := orphaned_log(self._path, before, counter(self._path)):
                raise StartError(reason)
            self._check_header()
            self._note_at_start(before)
            self._write_db = self._connect("rwc")
            self._check_contents(self._write_db)
            self._write_probe(self._write_db)
            # After a crash the index says nothing of the store until the log was copied.
            self._write_db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._read_db = self._connect_reader()
            self._files = OpenFiles.of(self._path)
            self._begin_watch()
            self._note()
            newest = self._write_db.execute(_NEWEST).fetchone()
            received = newest[0] / MICROSECONDS if newest else None
            self._elapsed = ElapsedTime(received, self._now(), self._monotonic())
        except (OSError, sqlite3.Error, DamagedError) as error:
            self._close_reader()
            self._close_writer()
            raise StartError(f"{self._path}: {error}; {advice(self._path, error)}") from error
        except StartError:
            self._close_writer()
            raise

    def _take_lock(self) -> Note:
        """One process a file: two would each hold half of the truth about what is in flight.

        What the receiver that last had the store open has noted of it.
        """
        lock_path = beside(self._path, LOCK)
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartError(
                f"can't write in {self._path.absolute().parent}: {error.strerror}; create the "
                "folder, or name another one in WEBHOOK_STORE"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 64).decode(errors="replace").split()[:1] or ["unknown"]
            os.close(lock)
            raise StartError(
                f"{self._path} is in use by another receiver (process {holder[0]}); stop that one, "
                "or give this one a file of its own in WEBHOOK_STORE"
            ) from None
        self._lock = lock
        return Note.read(os.read(lock, 96).decode(errors="replace"))

    def _note(self) -> None:
        """Leave in the lock file who has the store, and which file it is, unless that is there."""
        number = self._watch.counter if self._watch is not None else None
        note = Note(self._files.inode, number if number is not None else self._noted.counter)
        if note.inode and note != self._noted:
            self._write_note(note)

    def _note_at_start(self, before: Note) -> None:
        """Before the first write: no note of another file, or of a later state, for a new log."""
        inode = identity(self._path)[1]
        self._write_note(before if has_log(self._path) else Note(inode, counter(self._path)))

    def _write_note(self, note: Note) -> None:
        if self._lock is None:
            return
        with suppress(OSError):  # a full disk: the lock holds without the numbers
            os.pwrite(self._lock, note.text().encode(), 0)
            self._noted = note

    def _check_header(self) -> None:
        """Refuse what is no SQLite file before SQLite itself touches it."""
        if self._path.exists() and self._path.stat().st_size:
            with self._path.open("rb") as file:
                if file.read(16) != b"SQLite format 3\0":
                    raise StartError(
                        f"{self._path} is not a SQLite file and was left as it is; name another "
                        "path in WEBHOOK_STORE"
                    )

    def _open(self, mode: str) -> sqlite3.Connection:
        """A connection; only the start, with mode rwc, may make a file where there is none."""
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        with self._looking:
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            self._connections += 1
        return db

    def _connect(self, mode: str) -> sqlite3.Connection:
        db = self._open(mode)
        try:
            if db.execute("PRAGMA schema_version").fetchone()[0] == 0:
                db.executescript(_SCHEMA)
            self._check_owner(db)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA wal_autocheckpoint = 0")  # see _copy_log
            db.execute(f"PRAGMA journal_size_limit = {LARGEST_IDLE_LOG_BYTES}")
        except BaseException:
            self._close(db)
            raise
        return db

    def _check_owner(self, db: sqlite3.Connection) -> None:
        application_id = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if application_id != APPLICATION_ID:
            raise StartError(
                f"{self._path} is the SQLite file of another application and was left as it is; "
                "name another path in WEBHOOK_STORE"
            )
        if version != SCHEMA_VERSION:
            raise StartError(
                f"{self._path} has schema version {version}, this receiver knows {SCHEMA_VERSION}; "
                "use the version of the receiver that wrote it"
            )

    def _check_contents(self, db: sqlite3.Connection) -> None:
        """Look for damage: everywhere in a small file, in what counting needs in a large one."""
        small = self._path.stat().st_size <= CHECKED_WHOLE_BYTES
        check = "PRAGMA quick_check(1)" if small else "PRAGMA quick_check('counts')"
        found = db.execute(check).fetchone()[0]
        if found != "ok":
            raise DamagedError(f"the file is damaged: {found}")

    # On the writer's thread

    def _write(self, batch: Sequence[Event]) -> None:
        began = False
        try:
            db = self._writable()
            db.execute("BEGIN IMMEDIATE")
            newest = db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
            db.execute(_INSERT, (msgspec.json.encode(batch).decode(),))
            db.execute(_COUNT, (newest,))
            self._expire(db, 2 * len(batch))
            self._check_log()
            began = True
            db.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)
            # A COMMIT that failed may be found in the log when the file is next opened.
            raise (OutcomeUnknown if began else StoreUnavailable)(str(error)) from error
        self._worked()
        self._copy_log(db)
        if self._changed:
            raise OutcomeUnknown(self._changed)

    def _check_log(self) -> None:
        """Before a COMMIT: one that writes past the end of a log that was cut off would hide it."""
        if self._index is not None and self._index.is_log_cut():
            self._look()
            if self._changed:
                raise sqlite3.OperationalError(self._changed)

    def _copy_log(self, db: sqlite3.Connection) -> None:
        """Copy a long log into the store, with a look before and after.

        A copy that falls between two looks would account for whatever else was written meanwhile.
        So would a log that begins anew, as it does with the first write after a copy.
        """
        state = self._index.state() if self._index is not None else None
        if state is not None and state.frames < COPIED_FRAMES:
            if state.salts != self._salts:
                self._salts = state.salts
                self._look()
            return
        salts, at = self._copied
        if state is not None and state.salts == salts and time.monotonic() < at + LOOK_SECONDS:
            return  # the log went on: somebody reads it, or the disk is full
        self._look()
        if not self._changed:
            with suppress(sqlite3.Error):  # a full disk: the log stays, and is copied later
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._copied = (state.salts if state is not None else b"", time.monotonic())
            self._look()

    def _writable(self) -> sqlite3.Connection:
        if time.monotonic() >= self._looked_at + LOOK_SECONDS:
            self._look()
        if self._changed:
            raise sqlite3.OperationalError(self._changed)
        if self._write_db is None:
            try:
                self._write_db = self._connect("rw")
            except (StartError, OSError) as error:
                raise sqlite3.OperationalError(str(error)) from error
            with self._looking:
                self._files = self._files.reopened()
                if self._watch is None:
                    self._begin_watch()
        return self._write_db

    def _look(self) -> None:
        """See whether the files are still those at their paths, and as SQLite has left them."""
        with self._looking:
            self._look_alone()

    def _begin_watch(self) -> None:
        self._watch = Watch.on(self._path)
        self._index = LogIndex.of(self._path) if self._watch is not None else None

    def _end_watch(self) -> None:
        """Only when no connection is open: SQLite's locks go with it."""
        watch, self._watch = self._watch, None
        index, self._index = self._index, None
        if watch is not None:
            watch.close()
        if index is not None:
            index.close()

    def _look_alone(self) -> None:
        self._looked_at = time.monotonic()
        moved = self._files.changed()
        if self._watch is not None and not moved and not self._overwritten:
            self._overwritten = self._watch.look()
            if self._index is not None and not self._overwritten and self._index.is_log_cut():
                self._overwritten = f"{beside(self._path, WAL)} was cut off"
        before, changed = self._changed, moved or self._overwritten
        if changed and not before:
            log.critical(
                "%s while this receiver has it open: answering 503. %s",
                changed,
                _WAY_BACK % os.getpid() if moved else _NO_WAY_BACK,
            )
        elif before and not changed:
            log.warning("the files of %s are back", self._path)
        self._changed = changed
        if not self._changed:
            self._note()

    def _write_probe(self, db: sqlite3.Connection) -> None:
        """Write something, which says whether that can be done."""
        db.execute(
            "INSERT INTO probe VALUES (1, :at) ON CONFLICT (id) DO UPDATE SET probed_at = :at",
            {"at": self._now()},
        )

    def _probe(self) -> None:
        try:
            self._write_probe(self._writable())
        except sqlite3.Error as error:
            self._failed(error)
            raise StoreUnavailable(str(error)) from error
        self._worked()

    def _failed(self, error: sqlite3.Error) -> None:
        """Give the connection up, and with it the transaction; the next write opens a new one."""
        self._look()  # SQLite notices some of it by itself, and before we do
        if self._changed:
            return  # it has been said; the connection is to the files as they were
        if not self._failing:
            log.error("can't write to %s: %s; answering 503 until it works", self._path, error)
        self._failing = True
        if self._write_db is not None:
            self._close(self._write_db)
            self._write_db = None

    def _worked(self) -> None:
        if self._failing:
            log.warning("writing to %s works again", self._path)
        self._failing = False

    def _expire(self, db: sqlite3.Connection, step: int) -> int:
        """Delete expired events among the `step` oldest; how many there were."""
        oldest = db.execute("SELECT received_at FROM events ORDER BY id LIMIT 1").fetchone()
        wall = self._now()
        before = int(self._elapsed.now(wall, self._monotonic())) - self._retention
        if oldest is None or oldest[0] >= before * MICROSECONDS:
            self._note_held_back(oldest[0] / MICROSECONDS if oldest else wall, wall)
            return 0
        bounds = {"before": before * MICROSECONDS, "step": step}
        db.execute(_UNCOUNT, bounds)
        db.execute("DELETE FROM counts WHERE second < ? AND events <= 0", (before,))
        return db.execute(_EXPIRE_EVENTS, bounds).rowcount

    def _note_held_back(self, oldest: float, wall: float) -> None:
        """Say once that a clock which has jumped would have events deleted, and doesn't."""
        held = self._elapsed.held and oldest < wall - self._retention
        if held and not self._held_back:
            log.warning(
                "the clock is ahead of the time that has passed since the newest event: nothing "
                "expires until it has kept step for %d minutes",
                CONFIRM_SECONDS / 60,
            )
        self._held_back = held

    async def _expire_regularly(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_INTERVAL_SECONDS)
            await self._on(self._writer, self._expire_step)

    def _expire_step(self) -> None:
        self._look()
        if self._changed or self._failing or self._write_db is None:
            return
        try:
            self._write_db.execute("BEGIN IMMEDIATE")
            self._expire(self._write_db, EXPIRY_STEP)
            self._check_log()
            self._write_db.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)
        else:
            self._copy_log(self._write_db)

    def _close_writer(self) -> None:
        if self._write_db is not None:
            self._close(self._write_db)
            self._write_db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _close(self, db: sqlite3.Connection) -> None:
        """Close a connection, unless its files have other names now.

        SQLite would then delete the log at the path, which belongs to another file. So the
        connection is leaked: not even the end of the interpreter may close it.
        """
        with self._looking:
            self._look_alone()
            if self._changed:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))
                return
            db.close()
            self._connections -= 1
            if not self._connections:
                self._files = self._files.closed()
                self._end_watch()

    # On the reader's thread

    def _connect_reader(self) -> sqlite3.Connection:
        db = self._open("rw")
        try:
            db.execute("PRAGMA query_only = ON")
            db.execute("SELECT 1 FROM counts LIMIT 1").fetchone()
        except BaseException:
            self._close(db)
            raise
        return db

    def _counts_since(self, second: int) -> Mapping[int, int]:
        try:
            if self._read_db is None:
                if changed := self._files.changed():
                    raise sqlite3.OperationalError(changed)
                self._read_db = self._connect_reader()
            return _decode_counts(self._read_db.execute(_COUNTS_SINCE, (second,)).fetchone()[0])
        except sqlite3.Error as error:
            self._close_reader()
            raise StoreUnavailable(str(error)) from error

    def _close_reader(self) -> None:
        if self._read_db is not None:
            self._close(self._read_db)
            self._read_db = None
