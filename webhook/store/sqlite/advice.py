"""What to do about a store that can't be used, according to the error."""

import errno
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from webhook.store.sqlite.files import SUFFIXES, beside
from webhook.store.sqlite.schema import DamagedError

LEAST_ROOM_BYTES = 1 << 20  # to begin: a log, and its index


def advice(path: Path, error: Exception) -> str:
    """For the store at `path`, in words."""
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
        return "another program holds it locked: end it, and start again"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, DamagedError):
        names = ", ".join(beside(path, suffix).name for suffix in SUFFIXES)
        return (
            "it was left as it is. Restore it from a copy; or move it away to start with an empty "
            f"store, with all that is there of {names}: what was acknowledged last is in the log"
        )
    return "it was left as it is; see what the disk or the system's log says"


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
