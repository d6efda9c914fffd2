"""Direct looks into a SQLite store, past the receiver."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any


def query(path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """All rows of `sql`."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql, parameters).fetchall()


def bodies(path: Path) -> list[str]:
    """The stored events' text, in order of arrival."""
    return [row[0] for row in query(path, "SELECT body FROM events ORDER BY id")]


def ids(path: Path) -> Counter[str]:
    """How often each `id` field of TGIBF's ledger is stored."""
    return Counter(json.loads(body)["id"] for body in bodies(path))


def rows(path: Path) -> int:
    """How many events are stored."""
    return int(query(path, "SELECT count(*) FROM events")[0][0])


def rows_since(path: Path, second: int) -> int:
    """How many events were received at `second` (Unix time) or later."""
    found = query(path, "SELECT count(*) FROM events WHERE received_at >= ?", second * 1_000_000)
    return int(found[0][0])
