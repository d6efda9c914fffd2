"""Where events go, and how to look at what takes them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from harness.receiver import ReceiverProcess
from loadtest.plan import Plan
from loadtest.record import AllocationSample
from tools.network import free_port
from tools.say import say
from webhook.store.contract import StartError
from webhook.store.url import open_store, sqlite_path

STORE_FILE = "events.db"


class TargetUnavailable(Exception):  # noqa: N818 - a state, which somebody can mend
    """The target is not there; the message says what to do."""


class Target(ABC):
    """Something that takes events."""

    name: str
    urls: Sequence[str]
    """Where events are taken; they take turns."""
    store: str
    """The store's URL, empty where it is not to be read."""
    known_versions: dict[str, str]
    """Of what its receivers don't tell."""

    @property
    def host(self) -> str:
        return urlsplit(self.urls[0]).hostname or ""

    @abstractmethod
    def receivers(self) -> Sequence[str]:
        """The URLs of the receivers themselves, as of the last second."""

    def allocations(self) -> list[AllocationSample]:
        """A look at the allocations; none where nobody allocates."""
        return []

    def scale(self, count: int) -> bool:
        """Ask for so many allocations; whether that was taken."""
        raise NotImplementedError(f"{self.name} can't be scaled to {count}")


class UrlTarget(Target):
    """Any receiver, of which nothing is known but its URL."""

    def __init__(self, url: str, store: str) -> None:
        self.name = url
        self.urls = [url]
        self.store = store
        self.known_versions = {}

    def receivers(self) -> Sequence[str]:
        return self.urls


class DemoTarget(UrlTarget):
    """A receiver of our own."""

    def __init__(self, url: str, store: str) -> None:
        super().__init__(url, store)
        self.name = "demo"


@contextmanager
def open_target(plan: Plan, directory: Path) -> Iterator[Target]:
    """The plan's target; what is started for it has its files in `directory`, and is ended.

    Raises TargetUnavailable.
    """
    match plan.target:
        case "demo":
            with _demo(plan, directory) as target:
                yield target
        case "cluster" | "vagrant":
            from loadtest.cluster import ClusterTarget  # only who has one needs its clients

            yield ClusterTarget(plan.target)
        case url:
            _check_store(plan.store)
            yield UrlTarget(url, plan.store)


def _check_store(url: str) -> None:
    """Raise TargetUnavailable if it can't be read: now, rather than when the load is over."""
    if not url:
        return
    try:
        open_store(url, retention_seconds=1)
    except (StartError, ValueError) as error:
        raise TargetUnavailable(f"--store: {error}") from error
    path = sqlite_path(url)
    if path is not None and not path.exists():
        raise TargetUnavailable(f"--store: there is no file {path}")


@contextmanager
def _demo(plan: Plan, directory: Path) -> Iterator[Target]:
    store = f"sqlite:///{directory / STORE_FILE}"
    settings = {
        "store": store,
        "address": f"127.0.0.1:{free_port(plan.port)}",
        "window_seconds": plan.window_seconds,
    }
    say("starting a receiver on SQLite")
    with ReceiverProcess(settings) as receiver:
        say(f"its live page: {receiver.url}/")
        yield DemoTarget(receiver.url, store)
