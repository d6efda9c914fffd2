"""Every stored event of a file, read without the receiver. See `webhook.store.audit`."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from webhook.store.contract import StartError
from webhook.store.sqlite.files import real
from webhook.store.sqlite.orphan import refuse_orphaned_log
from webhook.store.sqlite.url import sqlite_path


def rows(url: str) -> Iterator[tuple[int, str]]:
    """`(received_at in microseconds, body)` of each event, in order of arrival.

    Raises StartError if the file does not exist or can't be read.
    """
    if not sqlite_path(url).exists():
        raise StartError(f"there is no file {sqlite_path(url)}")
    path = real(sqlite_path(url))
    refuse_orphaned_log(path)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as db:
            yield from db.execute("SELECT received_at, body FROM events ORDER BY id")
    except sqlite3.Error as error:
        raise StartError(f"{path} can't be read: {error}") from error
