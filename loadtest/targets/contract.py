"""What the load test needs from a target."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from urllib.parse import urlsplit

from loadtest.record import AllocationSample
from loadtest.urls import event_url


class TargetUnavailable(Exception):  # noqa: N818 - a state, which somebody can mend
    """The target is not there; the message says what to do."""


class Target(ABC):
    """Something that takes events."""

    name: str
    urls: Sequence[str]
    """Of the receivers, or of what stands before them: their paths begin there. They take turns."""
    store: str
    """The store's URL, empty if it is not to be read."""
    known_versions: dict[str, str]
    """Of what its receivers don't tell."""

    @property
    def event_urls(self) -> list[str]:
        """Where events are taken."""
        return [event_url(url) for url in self.urls]

    @property
    def host(self) -> str:
        return urlsplit(self.urls[0]).hostname or ""

    @abstractmethod
    def receivers(self) -> Sequence[str]:
        """The URLs of the receivers themselves, as of the last second."""

    def allocations(self) -> list[AllocationSample]:
        """A look at the allocations; none if nobody allocates."""
        return []

    def scale(self, count: int) -> bool:
        """Ask for so many allocations; whether that was taken."""
        raise NotImplementedError(f"{self.name} can't be scaled to {count}")
