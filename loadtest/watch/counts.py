"""The count, as any client would read it: `GET /events/count` at each of the URLs in turn."""

import time
from collections.abc import Sequence
from datetime import datetime
from itertools import cycle
from typing import Any

from loadtest.record import CountSample
from loadtest.watch.client import Client, NoAnswerError

ANSWER_SECONDS = 10.0


class Counts:
    """Asks for the count. For one thread."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._clients = {url: Client(url, ANSWER_SECONDS) for url in urls}
        self._turns = cycle(urls)

    def take(self) -> list[CountSample]:
        """Ask the next of the URLs."""
        return [self._ask(next(self._turns))]

    def everywhere(self) -> list[CountSample]:
        """Ask each of the URLs."""
        return [self._ask(url) for url in self._clients]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _ask(self, url: str) -> CountSample:
        sample = CountSample(at=time.time(), seconds=0.0, url=url)
        began = time.monotonic()
        try:
            answer = self._clients[url].json("/events/count")
            sample.since = int(datetime.fromisoformat(answer["from"]).timestamp())
            sample.count = int(answer["count"])
        except NoAnswerError as error:
            sample.error = str(error)
        except (KeyError, TypeError, ValueError):
            sample.error = "its answer is not a count"
        sample.at = round(sample.at, 3)
        sample.seconds = round(time.monotonic() - began, 3)
        return sample


def window_seconds(url: str) -> int:
    """How long the window of the receiver at `url` is. Raises NoAnswerError."""
    answer = _once(url, "/events/count")
    try:
        return int(answer["window_seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswerError(f"{url}/events/count: {answer!r} is not a count") from error


def baseline(url: str) -> list[tuple[int, int, int]]:
    """The window now, in slices of (from, to, events), without empty ones. Raises NoAnswerError."""
    answer = _once(url, "/events/minutes")
    try:
        slices = [(_unix(one["from"]), _unix(one["to"]), one["count"]) for one in answer["minutes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswerError(f"{url}/events/minutes: its answer has no minutes") from error
    return [slice_ for slice_ in slices if slice_[2]]


def _unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _once(url: str, path: str) -> Any:
    client = Client(url, ANSWER_SECONDS)
    try:
        return client.json(path)
    finally:
        client.close()
