"""Watches a store's files while SQLite has them open.

Nothing is acknowledged into a file that is no longer at its path (see `files`): every write is
refused until the same file is back, or until another start. The same applies to a file that was
overwritten in place (see `overwritten`).
"""

import ctypes
import errno
import logging
import os
import sqlite3
import threading
import time
from pathlib import Path

from webhook.store.sqlite.files import OpenFiles, provide
from webhook.store.sqlite.index import Index
from webhook.store.sqlite.lock import Lock, Note
from webhook.store.sqlite.overwritten import Watch

log = logging.getLogger(__package__)

LOOK_SECONDS = 0.25
"""Somebody who takes the file away is noticed within this time, or with the next write."""
_WAY_BACK = (
    "Put the same files back; or stop it, put the store in order (docs/stores.md), "
    "and start it. As long as it runs, what it has stored can be copied from /proc/%d/fd"
)
_NO_WAY_BACK = "Stop it, put the store in order (docs/stores.md), and start it"


class Guard:
    """Of the store at `path`: it opens the connections, closes them, and looks in between."""

    def __init__(self, path: Path, lock: Lock, link: Path) -> None:
        """`link` leads to `path`, if it is not the same."""
        self.path = path
        self.changed: str | None = None
        """What was done to the files since they were opened; None if nothing."""
        self._lock = lock
        self._files = OpenFiles(path, link)
        self._watch: Watch | None = None
        self._overwritten: str | None = None
        """Which of the files was written by somebody else; that can't be mended here."""
        self._connections = 0
        """Open ones, with those that are just being opened."""
        self._looked_at = 0.0
        self._looking = threading.Lock()  # who writes and who reads look, open and close

    def open(self, mode: str) -> sqlite3.Connection:
        """A connection; only the start, with mode rwc, may create the file.

        Raises OSError and sqlite3.Error.
        """
        if mode == "rwc":
            provide(self.path)
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        with self._looking:
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            self._connections += 1
        return db

    def begin(self) -> None:
        """Expect from now on the files that are there, as they are."""
        self._files = self._files.now()
        self._watch = Watch.on(self.path)
        if self._watch is None:
            raise OSError(errno.ENOENT, f"there is no log of SQLite's beside {self.path}")
        self._note()

    def go_on(self) -> None:
        """The same with another connection, which may have made another log."""
        with self._looking:
            self._files = self._files.reopened()
            if self._watch is None:
                self._watch = Watch.on(self.path)

    def look(self) -> None:
        """See whether the files are still those at their paths, and as SQLite has left them."""
        with self._looking:
            self._look_alone()

    def index(self) -> Index | None:
        """What the index says about the log; None if it can't be read."""
        return self._watch.index.read() if self._watch is not None else None

    def check(self) -> None:
        """Before something is begun. Raises sqlite3.OperationalError if the files have changed."""
        if time.monotonic() >= self._looked_at + LOOK_SECONDS:
            self.look()
        self._refuse(self.changed)

    def check_paths(self) -> None:
        """The same without checking the contents."""
        self._refuse(self._files.changed())

    def check_log(self) -> None:
        """Before a COMMIT: one that writes past the end of a log that was cut off would hide it.

        Raises sqlite3.OperationalError.
        """
        if self._watch is not None and self._watch.is_log_cut():
            self.look()
            self._refuse(self.changed)

    def close(self, db: sqlite3.Connection) -> None:
        """Close a connection, unless its files have other names now.

        SQLite would then delete the log at the path, which belongs to another file. So the
        connection is leaked: not even the end of the interpreter may close it.
        """
        with self._looking:
            self._look_alone()
            if self.changed:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))
                return
            db.close()
            self._connections -= 1
            if not self._connections:
                self._files = self._files.closed()
                watch, self._watch = self._watch, None
                if watch is not None:  # not before: SQLite's locks go with it
                    watch.close()

    def _refuse(self, changed: str | None) -> None:
        if changed:
            raise sqlite3.OperationalError(changed)

    def _look_alone(self) -> None:
        self._looked_at = time.monotonic()
        moved = self._files.changed()
        if self._watch is not None and not moved and not self._overwritten:
            self._overwritten = self._watch.look()
        before, changed = self.changed, moved or self._overwritten
        if changed and not before:
            log.critical(
                "%s while this receiver has it open: answering 503. %s",
                changed,
                _WAY_BACK % os.getpid() if moved else _NO_WAY_BACK,
            )
        elif before and not changed:
            log.warning("the files of %s are back", self.path)
        self.changed = changed
        if not changed:
            self._note()

    def _note(self) -> None:
        """Leave in the lock file which file the store is, unless that is there."""
        number = self._watch.counter if self._watch is not None else None
        noted = self._lock.noted
        mark = self._watch.mark if self._watch is not None else ""
        note = Note(
            self._files.inode,
            number if number is not None else noted.counter,
            mark or noted.mark,
        )
        if note.inode and note != noted:
            self._lock.write(note)
