"""From `WEBHOOK_STORE` to a store."""

from pathlib import Path

from webhook.store.contract import StartError, Store
from webhook.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"


def open_store(url: str, retention_seconds: int) -> Store:
    """The store that `url` names, not opened yet.

    `sqlite:///events.db` is a file relative to the working directory, `sqlite:////var/events.db`
    an absolute one (SQLAlchemy's convention). Raises StartError for any other URL.
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return SqliteStore(Path(url.removeprefix(_SQLITE)), retention_seconds)
    raise StartError(f"WEBHOOK_STORE={url!r} is not a store; use sqlite:///path/to/events.db")
