"""Writes events with their counts: one transaction per write, so the count is the number of rows.

A single statement that unpacks a JSON array inserts the events: sqlite3 releases Python's lock once
per statement, not once per row, so the event loop runs in parallel.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from webhook.events import Event
from webhook.store.contract import OutcomeUnknown, StartError, StoreUnavailable
from webhook.store.sqlite.copying import Copying, copy_log
from webhook.store.sqlite.expiry import Expiry
from webhook.store.sqlite.files import WAL, beside, has_log
from webhook.store.sqlite.guard import Guard
from webhook.store.sqlite.opening import open_writing
from webhook.store.sqlite.schema import add_clock_steps, check_contents, is_small, recount

log = logging.getLogger(__package__)

LARGEST_ID = 1 << 62
END_WAIT_MS = 1000  # for somebody else who reads the log
EXPIRY_STEP = 1000  # events deleted at once, beside those that go with a write

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
_PROBE = "INSERT INTO probe VALUES (1, :at) ON CONFLICT (id) DO UPDATE SET probed_at = :at"


class Writer:
    """For one thread. It has a connection, and gives it up when a write has failed."""

    def __init__(self, guard: Guard, expiry: Expiry, now: Callable[[], float]) -> None:
        """`now` is in Unix seconds."""
        self._guard = guard
        self._expiry = expiry
        self._copying = Copying(guard)
        self._now = now
        self._db: sqlite3.Connection | None = None
        self.failing = False
        """Whether the last write failed, by no change of the files."""

    def start(self) -> None:
        """Open the store, make it where there is none, check it, and write to it.

        Raises StartError, DamagedError, OSError and sqlite3.Error.
        """
        self._db = open_writing(self._guard, "rwc")
        check_contents(self._db, self._guard.path)
        add_clock_steps(self._db)
        self._write_probe(self._db)
        if is_small(self._guard.path) and recount(self._db):
            log.warning(
                "%s had counts of other events than it has, as after a DELETE by hand: they were "
                "counted anew",
                self._guard.path,
            )
        # After a crash the index says nothing of the store until the log was copied.
        copy_log(self._db)
        self._expiry.begin(self._db)

    def write(self, batch: Sequence[Event]) -> None:
        """Raises StoreUnavailable if nothing was stored, OutcomeUnknown if nobody can tell."""
        began = False
        try:
            db = self._writable()
            db.execute("BEGIN IMMEDIATE")
            newest = db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
            if newest > LARGEST_ID:  # by hand: SQLite would choose ids at random
                raise sqlite3.OperationalError(
                    f"there is an event with the id {newest}, after which none can come: delete it"
                )
            db.execute(_INSERT, (msgspec.json.encode(batch).decode(),))
            db.execute(_COUNT, (newest,))
            self._expiry.expire(db, 2 * len(batch))
            self._guard.check_log()
            began = True
            db.execute("COMMIT")
            self._expiry.committed()
        except sqlite3.Error as error:
            self.failed(error)
            # A COMMIT that failed may be found in the log when the file is next opened.
            raise (OutcomeUnknown if began else StoreUnavailable)(str(error)) from error
        except BaseException:
            self.close()  # and with it the transaction
            raise
        self._worked()
        self._copying.after_commit(db)
        if self._guard.changed:
            raise OutcomeUnknown(self._guard.changed)

    def probe(self) -> None:
        """Raises StoreUnavailable if nothing can be written."""
        try:
            self._write_probe(self._writable())
        except sqlite3.Error as error:
            self.failed(error)
            raise StoreUnavailable(str(error)) from error
        self._worked()

    def expire(self) -> None:
        """Delete a step of expired events, if all is well."""
        self._guard.look()
        if self._guard.changed or self.failing or self._db is None:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._expiry.expire(self._db, EXPIRY_STEP, thorough=True)
            self._guard.check_log()
            self._db.execute("COMMIT")
            self._expiry.committed()
        except sqlite3.Error as error:
            self.failed(error)
        except BaseException:
            self.close()
            raise
        else:
            self._copying.after_commit(self._db)

    def failed(self, error: sqlite3.Error) -> None:
        """Give the connection up, and with it the transaction; the next write opens a new one."""
        self._guard.look()  # SQLite notices some of it by itself, and before we do
        if self._guard.changed:
            return  # it has been said; the connection is to the files as they were
        if not self.failing:
            log.error(
                "can't write to %s: %s; answering 503 until it works", self._guard.path, error
            )
        self.failing = True
        self.close()

    def end(self) -> None:
        """Copy the log into the store and let go, so that the store's file is all that there is."""
        db = self._db
        if db is not None and not self._guard.changed:
            with suppress(sqlite3.Error):  # what can't be copied stays in the log
                db.execute(f"PRAGMA busy_timeout = {END_WAIT_MS}")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()
        if db is not None and not self._guard.changed and has_log(self._guard.path):
            log.warning(
                "somebody else has %s open: what was acknowledged last is in %s. Who copies the "
                "one must copy the other",
                self._guard.path,
                beside(self._guard.path, WAL),
            )

    def close(self) -> None:
        """Let go of the connection."""
        if self._db is not None:
            self._guard.close(self._db)
            self._db = None

    def _writable(self) -> sqlite3.Connection:
        self._guard.check()
        if self._db is None:
            try:
                self._db = open_writing(self._guard, "rw")
            except (StartError, OSError) as error:
                raise sqlite3.OperationalError(str(error)) from error
            self._guard.go_on()
        return self._db

    def _write_probe(self, db: sqlite3.Connection) -> None:
        """Write something, to check that writing works."""
        db.execute(_PROBE, {"at": self._now()})

    def _worked(self) -> None:
        if self.failing:
            log.warning("writing to %s works again", self._guard.path)
        self.failing = False
