"""The embedded store: one SQLite file, for one machine and one process.

Read it from the inside out. `files` says which files a store is, `header` what the first page of
one tells, `index` what the index of its log tells; `overwritten` finds out whether somebody else
has written into them. `lock` keeps other receivers away, `orphan` finds a log that belongs to
another store, `schema` says what is in a file of ours, `advice` what to do about one that can't be
used. `guard` looks after the files while they are open, and `opening` makes connections to them.
`elapsed` is the time that `expiry` deletes by; `copying` copies the log into the store; `writer`
and `reader` do what their names say, and `store` is all of them as one store.
"""

from webhook.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
