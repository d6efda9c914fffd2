"""Reads the counts, in parallel to the writes."""

import sqlite3
from collections.abc import Mapping

import msgspec

from webhook.store.contract import StoreUnavailable
from webhook.store.sqlite.guard import Guard
from webhook.store.sqlite.opening import open_reading

_COUNTS_SINCE = "SELECT json_group_object(second, events) FROM counts WHERE second >= ?"
_decode_counts = msgspec.json.Decoder(dict[int, int]).decode


class Reader:
    """For one thread. It has a connection, and gives it up when a read has failed."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._db: sqlite3.Connection | None = None

    def start(self) -> None:
        """Open the store, which must be there. Raises sqlite3.Error."""
        self._db = open_reading(self._guard)

    def counts_since(self, second: int) -> Mapping[int, int]:
        """Events per second of receipt. Raises StoreUnavailable."""
        try:
            if self._db is None:
                self._guard.check_paths()
                self._db = open_reading(self._guard)
            return _decode_counts(self._db.execute(_COUNTS_SINCE, (second,)).fetchone()[0])
        except sqlite3.Error as error:
            self.close()
            raise StoreUnavailable(str(error)) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._db is not None:
            self._guard.close(self._db)
            self._db = None
