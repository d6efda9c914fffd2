"""Copies of a SQLite store, while a receiver writes to it or while none does.

The copy is what a reader sees at one moment: it has what is only in the log, and not what comes in
meanwhile. It appears complete and checked, or not at all.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.sqlite.files import LOCK, PRIVATE, SUFFIXES, beside, provide, real
from webhook.store.sqlite.orphan import refuse_orphaned_log
from webhook.store.sqlite.schema import APPLICATION_ID, recount


class StoreError(Exception):
    """The operation can't be done; the message says why and what to do."""


@dataclass(frozen=True)
class Copy:
    """What a copy holds, and how long it took to make and check."""

    events: int
    seconds: float


def back_up(store: Path, copy: Path) -> Copy:
    """Make `copy` the content of `store`, which may be in use. Raises StoreError."""
    if copy.exists():
        raise StoreError(f"{copy} exists already; name a new file")
    store = real(store)
    began = time.monotonic()
    part = copy.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    _refuse_orphaned_log(store)
    try:
        events = _copy(store, part)
        part.rename(copy)
        _sync(copy.absolute().parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{store} could not be copied to {copy}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return Copy(events, time.monotonic() - began)


def restore(copy: Path, store: Path) -> list[Path]:
    """Put `copy` at the path of `store`; the new paths of the old files. Raises StoreError."""
    copy, store = real(copy), real(store)
    _refuse_orphaned_log(copy)
    try:
        _check(copy)
        with _alone(store):
            part = store.with_name(f"{store.name}.part")
            part.unlink(missing_ok=True)
            try:
                _copy(copy, part)
                moved = _put_aside(store)
                part.rename(store)
            finally:
                part.unlink(missing_ok=True)
            _sync(store.absolute().parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{copy} could not be restored to {store}: {error}") from error
    return moved


def empty(store: Path) -> list[Path]:
    """Leave nothing at the path of `store`; the new paths of its files. Raises StoreError."""
    store = real(store)
    try:
        with _alone(store):
            moved = _put_aside(store)
            _sync(store.absolute().parent)
    except OSError as error:
        raise StoreError(f"{store} could not be put aside: {error}") from error
    return moved


def _refuse_orphaned_log(store: Path) -> None:
    """Raises StoreError if opening the store would make SQLite delete or misapply a log."""
    try:
        refuse_orphaned_log(store)
    except StartError as error:
        raise StoreError(str(error)) from None


def _copy(store: Path, part: Path) -> int:
    """Write into `part` what a reader of `store` sees, in its log too; the number of its events.

    Its counts are those of the events that it has. Raises StoreError.
    """
    with closing(_open(store)) as db:
        _check_owner(db, store)
        provide(part)
        db.execute("VACUUM INTO ?", (str(part),))
    with closing(_open(part)) as db:
        db.isolation_level = None
        recount(db)
    events = _check(part)
    _sync(part)
    return events


def _open(path: Path) -> sqlite3.Connection:
    """A connection that creates no file. Raises StoreError if there is none."""
    if not path.is_file():
        raise StoreError(f"there is no file {path}")
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)


def _check_owner(db: sqlite3.Connection, path: Path) -> None:
    try:
        found = db.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}") from error
    if found != APPLICATION_ID:
        raise StoreError(f"{path} is not a receiver's store")


def _check(path: Path) -> int:
    """The number of events in a copy, every page of which is read. Raises StoreError."""
    with closing(_open(path)) as db:
        _check_owner(db, path)
        found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"{path} is damaged: {found}")
        return int(db.execute("SELECT count(*) FROM events").fetchone()[0])


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Hold the store's lock, which a receiver holds as long as it runs. Raises StoreError."""
    handle = os.open(beside(store, LOCK), os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 64).decode(errors="replace").split()[:1] or ["unknown"]
            raise StoreError(
                f"{store} is in use by a receiver (process {holder[0]}); stop it first"
            ) from None
        yield
        os.ftruncate(handle, 0)  # which file was open last: not the one that is there now
    finally:
        os.close(handle)


def _put_aside(store: Path) -> list[Path]:
    """Rename the store's files, the log with them; their new names."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (f".before-{moment}{f'-{n}' if n else ''}" for n in count())
    free = next(
        name
        for name in names
        if not any(os.path.lexists(beside(store, name + suffix)) for suffix in SUFFIXES)
    )
    moved = []
    for suffix in SUFFIXES:
        path = beside(store, suffix)
        if path.exists():
            moved.append(beside(store, free + suffix))
            path.rename(moved[-1])
    return moved


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
