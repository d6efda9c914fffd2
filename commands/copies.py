"""Copies of a SQLite store, while a receiver writes to it or while none does.

The copy is what a reader sees at one moment: it has what is only in the log, and not what comes in
meanwhile. It appears complete and checked, or not at all.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.sqlite.files import LOCK, PRIVATE, SUFFIXES, beside, provide, real
from webhook.store.sqlite.lock import hold
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
    store = real(store)
    began = time.monotonic()
    with _explained(f"{store} could not be copied to {copy}"):
        if copy.exists():
            raise StoreError(f"{copy} exists already; name a new file")
        _refuse_orphaned_log(store)
        with _new_part(copy) as part:
            events = _copy(store, part)
            part.rename(copy)
        _sync(copy.absolute().parent)
    return Copy(events, time.monotonic() - began)


def restore(copy: Path, store: Path) -> list[Path]:
    """Put `copy` at the path of `store`; the new paths of the old files. Raises StoreError."""
    copy, store = real(copy), real(store)
    with _explained(f"{copy} could not be restored to {store}"):
        _refuse_folder(store)
        _refuse_orphaned_log(copy)
        _check(copy)
        with _alone(store):
            with _new_part(store) as part:
                _copy(copy, part)
                moved = _put_aside(store)
                part.rename(store)
            _sync(store.absolute().parent)
    return moved


def empty(store: Path) -> list[Path]:
    """Leave nothing at the path of `store`; the new paths of its files. Raises StoreError."""
    store = real(store)
    with _explained(f"{store} could not be put aside"):
        _refuse_folder(store)
        if not any(_is_there(beside(store, suffix)) for suffix in SUFFIXES):
            return []
        with _alone(store):
            moved = _put_aside(store)
            _sync(store.absolute().parent)
    return moved


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Raises StoreError, which begins with `what`, for what the system or SQLite refuses.

    ValueError is for a path that has no name, or none that SQLite could be told.
    """
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        raise StoreError(f"{what}: {error}") from error


@contextmanager
def _new_part(path: Path) -> Iterator[Path]:
    """Where what will be at `path` is made; it is gone at the end, if it was not renamed."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _refuse_folder(store: Path) -> None:
    if _is_there(store) and store.is_dir():
        raise StoreError(f"{store} is a folder; name the file of a store")


def _is_there(path: Path) -> bool:
    """Raises OSError where that can't be known."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


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
    """Hold the store's lock and its file, as a receiver does as long as it runs.

    Raises StoreError.
    """
    handle = os.open(beside(store, LOCK), os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 64).decode(errors="replace").split()[:1] or ["unknown"]
            raise StoreError(
                f"{store} is in use by a receiver (process {holder[0]}); stop it first"
            ) from None
        with _held(store):
            yield
        os.ftruncate(handle, 0)  # which file was open last: not the one that is there now
    finally:
        os.close(handle)


@contextmanager
def _held(store: Path) -> Iterator[None]:
    """Hold the file itself: a receiver may have it whose lock is at another name, or removed."""
    held = None
    try:
        with suppress(OSError):  # there is none, or it can't be opened: it can be put aside
            held = hold(store)
        yield
    except StartError as error:
        raise StoreError(str(error)) from None
    finally:
        if held is not None:
            os.close(held)


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
