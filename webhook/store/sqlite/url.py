"""From `sqlite:///...` to a file."""

from pathlib import Path

SCHEME = "sqlite:///"


def sqlite_path(url: str) -> Path:
    """The file of a SQLite URL.

    `sqlite:///events.db` is relative to the working directory, `sqlite:////var/events.db` is
    absolute (SQLAlchemy's convention).
    """
    return Path(url.removeprefix(SCHEME))


def sqlite_path_or_none(url: str) -> Path | None:
    """The same, None for the URL of another store."""
    return sqlite_path(url) if url.startswith(SCHEME) and url != SCHEME else None
