"""From `WEBHOOK_STORE` to a store."""

from pathlib import Path

from webhook.store.contract import StartError, Store
from webhook.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"
_CASSANDRA = "cassandra://"


def open_store(url: str, retention_seconds: int) -> Store:
    """The store that `url` names, not opened yet. Raises StartError if it names none."""
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(path, retention_seconds)
    if url.startswith(_CASSANDRA):
        # Here, so that who has no ring need not load its driver.
        from webhook.store.cassandra import CassandraStore, RingSettings

        return CassandraStore(RingSettings.from_url(url), retention_seconds)
    raise StartError(
        f"WEBHOOK_STORE={url.partition('@')[2] or url!r} is not a store; use "
        "sqlite:///path/to/events.db or cassandra://host1,host2,host3/keyspace"
    )


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for other URLs.

    `sqlite:///events.db` is relative to the working directory, `sqlite:////var/events.db` is
    absolute (SQLAlchemy's convention).
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return Path(url.removeprefix(_SQLITE))
    return None
