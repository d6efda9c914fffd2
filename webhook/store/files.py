"""The files of a SQLite store: which they are, whether they are there, what is wrong with one.

A store is the file at its path and, as long as somebody has it open or after a crash, the log
beside it (`-wal`) with its index (`-shm`). What was acknowledged last is in the log alone. SQLite
keeps the files that it has opened, by their inodes, whatever becomes of their names: whoever moves,
deletes or replaces one takes it away from everybody but the process that has it open.
"""

import errno
import os
import re
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

APPLICATION_ID = 0x54435645  # "TCVE" in the file's header: this file is ours
LOCK = ".lock"
WAL = "-wal"
SHM = "-shm"
SUFFIXES = ("", WAL, SHM)
LOOK_SECONDS = 0.25
"""Somebody who takes the file away is noticed within this time, or with the next write."""
LEAST_ROOM_BYTES = 1 << 20  # to begin: a log, and its index
_INDEX_HEAD = struct.Struct("=12x?xHI12x8s")  # sqlite.org/walformat.html, 2.1
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


def beside(path: Path, suffix: str) -> Path:
    """The file of the store at `path` that ends so."""
    return path.with_name(path.name + suffix)


def identity(path: Path) -> tuple[int, int]:
    """Device and inode of a file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def inode(path: Path) -> int:
    """The number by which a file system knows a file; 0 where there is none.

    It stays the same over a restart of the machine, where that of the device need not.
    """
    return identity(path)[1]


@dataclass(frozen=True)
class OpenFiles:
    """The files that were opened, to be held against what is at their paths now."""

    path: Path
    identities: tuple[tuple[str, tuple[int, int]], ...]

    @classmethod
    def of(cls, path: Path) -> "OpenFiles":
        """Those that are there now, which must be those that were opened."""
        return cls(path, tuple((suffix, identity(beside(path, suffix))) for suffix in SUFFIXES))

    def reopened(self) -> "OpenFiles":
        """The same store, with the log that it has now."""
        return OpenFiles(self.path, (*self.closed().identities, *self.of(self.path).identities[1:]))

    def closed(self) -> "OpenFiles":
        """The store alone: with its last connection SQLite itself deletes the log."""
        return OpenFiles(self.path, self.identities[:1])

    @property
    def inode(self) -> int:
        """The store's; 0 before it was opened."""
        return self.identities[0][1][1] if self.identities else 0

    def changed(self) -> str | None:
        """Which was moved, deleted or replaced, in words; None if all are as they were."""
        for suffix, opened in self.identities:
            file = beside(self.path, suffix)
            now = identity(file)
            if now != opened:
                return f"{file} was {'replaced' if any(now) else 'moved or deleted'}"
        return None


@dataclass(frozen=True, slots=True)
class LogState:
    """What the index says of the log at a moment."""

    frames: int
    """Pages that it holds."""
    least_bytes: int
    """What the log's file must have for them."""
    salts: bytes
    """Another pair each time that the log begins anew."""


class LogIndex:
    """The index of a log that SQLite has open. Costs some microseconds a question.

    It is kept open: where a process closes a file, it loses SQLite's locks on it
    (sqlite.org/howtocorrupt.html, 2.2). So `close` only after SQLite has closed it.
    """

    def __init__(self, log: Path, index: int) -> None:
        """`index` is a descriptor. Use `of`."""
        self._log = log
        self._index = index

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """That of the store at `path`; None where there is none."""
        try:
            index = os.open(beside(path, SHM), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        return cls(beside(path, WAL), index)

    def state(self) -> LogState | None:
        """None where it can't be read."""
        try:
            head = os.pread(self._index, _INDEX_HEAD.size, 0)
            known, page, frames, salts = _INDEX_HEAD.unpack(head)
        except (OSError, struct.error):
            return None
        if not (known and frames):
            return LogState(0, 0, salts)
        return LogState(frames, _LOG_HEADER_BYTES + frames * (_FRAME_HEADER_BYTES + page), salts)

    def is_log_cut(self) -> bool:
        """Whether the log is shorter than it must be. One that is not there is not meant."""
        state = self.state()
        try:
            size = self._log.stat().st_size
        except OSError:
            return False
        # SQLite cuts it back itself, but says before that nothing is in it.
        return state is not None and size < state.least_bytes and self.state() == state

    def close(self) -> None:
        """Let go of the index."""
        os.close(self._index)


@dataclass(frozen=True, slots=True)
class Note:
    """What the lock file says of the store: which file it was when a receiver had it open."""

    inode: int = 0
    """0 if nobody knows."""
    counter: int = 0
    """How often its first page had been changed, at least."""

    @classmethod
    def read(cls, lock: str) -> "Note":
        """From the text of a lock file; one that is not understood says nothing."""
        found = re.fullmatch(r"\d+ inode (\d+)(?: counter (\d+))?\s*", lock)
        return cls(*(int(one or 0) for one in found.groups())) if found else cls()

    def text(self) -> str:
        """For the lock file of this process; always as long, so that one write replaces it."""
        return f"{os.getpid()} inode {self.inode} counter {self.counter}".ljust(79) + "\n"


def has_log(path: Path) -> bool:
    """Whether there is a log with something in it beside a store."""
    log = beside(path, WAL)
    return log.exists() and log.stat().st_size > 0


def orphaned_log(path: Path, before: Note, counter: int) -> str | None:
    """Why the log beside a store that is not open does not belong to it; None if it may.

    `before` is the note of the receiver that last had it open, `counter` the store's own now.
    SQLite deletes a log that has no store, and applies one to whatever store it finds beside it.
    """
    log = beside(path, WAL)
    if not has_log(path):
        return None
    if not path.exists() or not path.stat().st_size:
        return (
            f"{log} holds events that were acknowledged, and {path} to which it belongs is "
            f"{'empty' if path.exists() else 'not there'}. Put that file back beside it; or, to "
            f"start with an empty store, move {log.name} to where the file went"
        )
    if before.inode not in (0, inode(path)):
        return (
            f"{log} belongs to another file than the one that is at {path} now, and would damage "
            f"it. If {path.name} was restored from a copy, move {log.name} and {path.name}-shm "
            "away, beside the file that they belong to"
        )
    if counter < before.counter:
        return (
            f"{path} was overwritten by an older copy: {log} belongs to what was there before, and "
            f"would damage it. To go on from the copy, move {log.name} and {path.name}-shm away"
        )
    return None


def advice(path: Path, error: Exception) -> str:
    """What to do about a store that can't be used, for this error."""
    if path.is_dir():
        return f"{path} is a folder: name a file in WEBHOOK_STORE"
    number = error.errno if isinstance(error, OSError) else None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds to a code
    full = number in (errno.ENOSPC, errno.EDQUOT) or code == sqlite3.SQLITE_FULL
    # SQLite says so of its database and its log, but not of the log's index.
    if full or (code == sqlite3.SQLITE_IOERR and _room(path) < LEAST_ROOM_BYTES):
        return "the disk is full: make room and start again. Nothing is wrong with the file"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or code in (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    ):
        return (
            f"this process (uid {os.geteuid()}) must be able to read and write {_who(path)}. "
            "Mend owner or mode, by chown or chmod. Nothing is wrong with the file"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program holds it locked: end that one, and start again"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, DamagedError):
        names = ", ".join(beside(path, suffix).name for suffix in SUFFIXES)
        return (
            "it was left as it is. Restore it from a copy; or move it away to start with an empty "
            f"store, with all that is there of {names}: what was acknowledged last is in the log"
        )
    return "it was left as it is; see what the disk or the system's log says"


class DamagedError(Exception):
    """A check found the file damaged."""


def _room(path: Path) -> int:
    """Bytes that are free where the file is."""
    try:
        system = os.statvfs(path.absolute().parent)
    except OSError:
        return LEAST_ROOM_BYTES
    return system.f_bavail * system.f_frsize


def _who(path: Path) -> str:
    """Owners and modes of the folder and of the files that are there."""
    found: Sequence[Path] = [path.absolute().parent, *(beside(path, s) for s in SUFFIXES)]
    parts = []
    for one in found:
        with suppress(OSError):
            status = one.stat()
            parts.append(f"{one} (uid {status.st_uid}, mode {status.st_mode & 0o7777:o})")
    return ", ".join(parts)
