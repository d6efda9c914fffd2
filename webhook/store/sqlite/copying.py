"""The receiver's own checkpoint: copies a log that has become long into the store.

SQLite would do that during a COMMIT. But a copy between two checks of the files could explain
whatever else was written to them meanwhile. So it is done here, after a COMMIT, with a check right
before and one right after.
"""

import sqlite3
import time
from contextlib import suppress

from webhook.store.sqlite.guard import LOOK_SECONDS, Guard

COPIED_FRAMES = 1000  # a log of so many pages is copied, as SQLite would by itself


def copy_log(db: sqlite3.Connection) -> None:
    """As far as that can be done without waiting for those who read it."""
    db.execute("PRAGMA wal_checkpoint(PASSIVE)")


class Copying:
    """Of the log of the store that `guard` looks after."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._salts = b""
        """Of the log at the last COMMIT."""
        self._copied = (b"", 0.0)
        """The salts of the log that was copied last, and when."""

    def after_commit(self, db: sqlite3.Connection) -> None:
        """Copy the log if it is long.

        If it has just started again, check: after its second COMMIT nobody could tell whether
        the old one was copied once again.
        """
        index = self._guard.index()
        if index is not None and index.frames < COPIED_FRAMES:
            if index.salts != self._salts:
                self._salts = index.salts
                self._guard.look()
            return
        salts, at = self._copied
        if index is not None and index.salts == salts and time.monotonic() < at + LOOK_SECONDS:
            return  # the log continued: somebody reads it, or the disk is full
        self._guard.look()
        if not self._guard.changed:
            with suppress(sqlite3.Error):  # a full disk: the log stays, and is copied later
                copy_log(db)
            self._copied = (index.salts if index is not None else b"", time.monotonic())
            self._guard.look()
