"""A look into a store past the receiver: what is really there, event by event.

For verification only. It reads every event, so its cost grows with their number.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.url import sqlite_path

_IDS = "SELECT json_extract(body, '$.id') FROM events ORDER BY id"
_SINCE = "SELECT count(*) FROM events WHERE received_at >= ? * 1000000"


def stored_ids(url: str) -> Iterator[str]:
    """The `id` field of every stored event that has one, as often as it is stored."""
    with closing(_connect(url)) as db:
        yield from (name for (name,) in db.execute(_IDS) if name is not None)


def stored_since(url: str, second: int) -> int:
    """How many events are stored that were received at `second` (Unix time) or later."""
    with closing(_connect(url)) as db:
        return int(db.execute(_SINCE, (second,)).fetchone()[0])


def _connect(url: str) -> sqlite3.Connection:
    path = sqlite_path(url)
    if path is None or not Path(path).exists():
        raise StartError(f"there is no store at {url}")
    return sqlite3.connect(path)
