"""A receiver's URL and the one of its events, also where a proxy has it at a path."""

from urllib.parse import urlsplit

EVENTS_PATH = "/events"


def base_url(url: str) -> str:
    """Where a receiver's paths begin, from its URL or the one of its events."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix(EVENTS_PATH).rstrip("/")
    return parts._replace(path=path).geturl()


def event_url(url: str) -> str:
    """Where events are taken, from the same."""
    parts = urlsplit(base_url(url))
    return parts._replace(path=parts.path + EVENTS_PATH).geturl()
