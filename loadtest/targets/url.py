"""Any receiver, known only by its URL."""

from collections.abc import Sequence

from loadtest.targets.contract import Target, TargetUnavailable
from webhook.store.contract import StartError
from webhook.store.kinds import open_store
from webhook.store.sqlite.url import sqlite_path_or_none


class UrlTarget(Target):
    """Any receiver."""

    def __init__(self, url: str, store: str) -> None:
        self.name = url
        self.urls = [url]
        self.store = store
        self.known_versions = {}

    def receivers(self) -> Sequence[str]:
        return self.urls


def check_store(url: str) -> None:
    """Raise TargetUnavailable if it can't be read: now, rather than when the load is over."""
    if not url:
        return
    try:
        open_store(url, retention_seconds=1)
    except (StartError, ValueError) as error:
        raise TargetUnavailable(f"--store: {error}") from error
    path = sqlite_path_or_none(url)
    if path is not None and not path.exists():
        raise TargetUnavailable(f"--store: there is no file {path}")
