"""The embedded store: one SQLite file, for one machine and one process.

Read it from the inside out. `files` says which files a store has, `header` reads the first page of
the store, `index` reads the index of its log; `overwritten` detects that somebody else has written
into them. `lock` keeps other receivers away, `orphan` finds a log that belongs to another store,
`schema` says what our files contain, and `advice` what to do about a file that can't be used.
`guard` watches the files while they are open, and `opening` makes connections to them. `elapsed` is
the time that `expiry` uses; `copying` copies the log into the store; `writer` and `reader` do what
their names say, and `store` combines them into a store.
"""

from webhook.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
