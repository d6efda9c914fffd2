"""What our files contain, and whether a file is one of ours and intact.

- `events(id, received_at, type, call_id, body)`: `id` grows in order of arrival, `received_at` is
  in microseconds since the Unix epoch, `body` is the JSON object as it came.
- `counts(second, events)`: events per second of receipt.
- `probe`: a row that is written only to check that writing works, and one with the time that expiry
  believes.
- `clock_steps(after_id, until_id, seconds)`: events after the one and until the other were received
  under a clock that was so far behind.
"""

import sqlite3
from pathlib import Path

from webhook.store.contract import StartError

APPLICATION_ID = 0x54435645  # "TCVE" in the file's header: this file is ours
SCHEMA_VERSION = 1
CHECKED_WHOLE_BYTES = 64 << 20  # files up to this size are checked whole at start

_CLOCK_STEPS = """
CREATE TABLE IF NOT EXISTS clock_steps (
    until_id INTEGER PRIMARY KEY, after_id INTEGER NOT NULL, seconds INTEGER NOT NULL
)
"""
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


_SAME = "SELECT (SELECT count(*) FROM events) = (SELECT coalesce(sum(events), 0) FROM counts)"
_COUNT_ALL = """
INSERT INTO counts (second, events)
SELECT CAST(received_at AS INTEGER) / 1000000, count(*) FROM events GROUP BY 1
"""


class DamagedError(Exception):
    """A check found the file damaged."""


def make_schema(db: sqlite3.Connection) -> None:
    """Create the tables in an empty file."""
    if db.execute("PRAGMA schema_version").fetchone()[0] == 0:
        db.executescript(_SCHEMA)


def add_clock_steps(db: sqlite3.Connection) -> None:
    """Have the table, which files of before it lack."""
    db.execute(_CLOCK_STEPS)


def check_owner(db: sqlite3.Connection, path: Path) -> None:
    """Raises StartError for a file of another application, or of another version of this one."""
    application_id = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application_id != APPLICATION_ID:
        raise StartError(
            f"{path} is the SQLite file of another application and was left as it is; "
            "name another path in WEBHOOK_STORE"
        )
    if version != SCHEMA_VERSION:
        raise StartError(
            f"{path} has schema version {version}, this receiver knows {SCHEMA_VERSION}; "
            "use the version of the receiver that wrote it"
        )


def is_small(path: Path) -> bool:
    """Whether a start has time to look at all of the file."""
    return path.stat().st_size <= CHECKED_WHOLE_BYTES


def recount(db: sqlite3.Connection) -> bool:
    """Make the counts those of the events that are there; whether they were not.

    That is so after somebody has deleted events by hand.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        is_right = db.execute(_SAME).fetchone()[0]
        if not is_right:
            db.execute("DELETE FROM counts")
            db.execute(_COUNT_ALL)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return not is_right


def check_contents(db: sqlite3.Connection, path: Path) -> None:
    """Look for damage: everywhere in a small file, in what counting needs in a large one.

    Raises DamagedError.
    """
    small = is_small(path)
    check = "PRAGMA quick_check(1)" if small else "PRAGMA quick_check('counts')"
    found = db.execute(check).fetchone()[0]
    if found != "ok":
        raise DamagedError(f"the file is damaged: {found}")
