"""Single requests to a receiver, wherever it runs."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, url: str, body: bytes | None = None, seconds: float = 15) -> Answer:
    """One request on a connection of its own, whatever its status. Raises OSError."""
    asked = urllib.request.Request(url, data=body, method=method)
    asked.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


@dataclass(frozen=True)
class Count:
    """What `GET /events/count` says: so many events since a second (Unix time)."""

    events: int
    since: int


def count(url: str) -> Count:
    """The count of the receiver at `url`. Raises OSError."""
    answer = request("GET", f"{url}/events/count")
    assert answer.status == 200, answer
    since = datetime.fromisoformat(answer.json["from"])
    return Count(int(answer.json["count"]), int(since.timestamp()))
