"""A receiver of our own, on SQLite."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.receiver import start_at
from loadtest.plan import Plan
from loadtest.targets.url import UrlTarget
from tools.say import say
from tools.stops import stops_put_off

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
        "window_seconds": plan.window_seconds,
    }
    say("starting a receiver on SQLite")
    with ExitStack() as stack:
        with stops_put_off():  # a receiver that has half started would be left behind
            receiver = start_at(plan.port, settings)
            stack.callback(receiver.stop)
        say(f"its live page: {receiver.url}/")
        yield DemoTarget(receiver.url, store)
