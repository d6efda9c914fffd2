"""A receiver of our own, on SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.receiver import ReceiverProcess
from loadtest.plan import Plan
from loadtest.targets.url import UrlTarget
from tools.network import free_port
from tools.say import say

STORE_FILE = "events.db"


class DemoTarget(UrlTarget):
    """A receiver of our own."""

    def __init__(self, url: str, store: str) -> None:
        super().__init__(url, store)
        self.name = "demo"


@contextmanager
def demo(plan: Plan, directory: Path) -> Iterator[DemoTarget]:
    """One that runs, with its store in `directory`, until the end of the `with`."""
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
