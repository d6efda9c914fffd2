"""Connections to a store, with the right settings: one that writes, one that reads."""

import sqlite3

from webhook.store.contract import StartError
from webhook.store.sqlite.guard import Guard
from webhook.store.sqlite.schema import check_owner, make_schema

OLDEST_SQLITE = (3, 33, 0)  # JSON functions, UPSERT, quick_check of one table
LARGEST_IDLE_LOG_BYTES = 16 << 20  # it grows as long as somebody reads, and is cut back to this


def check_sqlite() -> None:
    """Raises StartError if Python's SQLite can't do what is needed."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise StartError(
            f"SQLite {sqlite3.sqlite_version} is too old: use a Python with {needed} or later"
        )


def open_writing(guard: Guard, mode: str) -> sqlite3.Connection:
    """For writing. WAL with `synchronous=FULL` syncs the log before COMMIT returns."""
    db = guard.open(mode)
    try:
        make_schema(db)
        check_owner(db, guard.path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 0")  # see copying
        db.execute(f"PRAGMA journal_size_limit = {LARGEST_IDLE_LOG_BYTES}")
    except BaseException:
        guard.close(db)
        raise
    return db


def open_reading(guard: Guard) -> sqlite3.Connection:
    """For counting, beside the one that writes."""
    db = guard.open("rw")
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("SELECT 1 FROM counts LIMIT 1").fetchone()
    except BaseException:
        guard.close(db)
        raise
    return db
