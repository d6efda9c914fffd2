"""The 40 fixed events, and the requests that carry them."""

import json
import random
import secrets
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from tgibf.key import Key
from tgibf.target import Endpoint, Target

MAX_BATCH = 1000
"""Events that a webhook takes in one POST, at most."""


class Request(NamedTuple):
    """A request ready to be written: the numbers of its events are `first`, `first` + 1, ..."""

    endpoint: Endpoint
    data: bytes
    first: int
    events: int


def load_events() -> tuple[bytes, ...]:
    """The fixed events, each as the bytes of a JSON object."""
    text = files("tgibf").joinpath("events.json").read_text(encoding="utf-8")
    return tuple(json.dumps(event).encode() for event in json.loads(text))


def event_id(run: str, number: int) -> str:
    """The id of a run's event by its number."""
    return f"{run}-{number}"


class Requests:
    """Draws events at random and makes requests of them.

    With a `run`, every event carries a unique "id" (see `event_id`), so that it can be found again
    in the store. Without, requests of one event are made once, up front.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        batch: int,
        keep_alive: bool,
        seed: int | None,
        run: str | None,
        key: Key | None = None,
    ) -> None:
        """With a `key`, each request has what that makes of its id and body."""
        self._key = key
        self._name = run or secrets.token_hex(8)
        self._batch = batch
        self._run = run
        self._events = load_events()
        # Draws events for a load test, not secrets; a seed makes the draw repeatable.
        self._random = random.Random(seed)  # noqa: S311
        self._heads = {endpoint: _head(endpoint.target, keep_alive) for endpoint in endpoints}
        self._made = {
            endpoint: tuple(_request(head, event) for event in self._events)
            for endpoint, head in self._heads.items()
        }
        self._drawn = 0

    def draw(self, events: int, endpoint: Endpoint) -> Request:
        """A request to `endpoint` of that many events, at most the batch size."""
        picks = [int(self._random.random() * len(self._events)) for _ in range(events)]
        first = self._drawn
        self._drawn += events
        if self._batch == 1 and self._run is None and self._key is None:
            return Request(endpoint, self._made[endpoint][picks[0]], first, events)
        bodies = [self._body(pick, first + at) for at, pick in enumerate(picks)]
        body = bodies[0] if self._batch == 1 else b"[" + b",".join(bodies) + b"]"
        proof = b"" if self._key is None else self._key(event_id(self._name, first), body)
        return Request(endpoint, _request(self._heads[endpoint], body, proof), first, events)

    def _body(self, pick: int, number: int) -> bytes:
        event = self._events[pick]
        if self._run is None:
            return event
        return b'{"id": "%s", %s' % (event_id(self._run, number).encode(), event[1:])


def _head(target: Target, keep_alive: bool) -> bytes:
    """The head of every request to a target, up to the value of Content-Length."""
    connection = "" if keep_alive else "Connection: close\r\n"
    return (
        f"POST {target.path} HTTP/1.1\r\n"
        f"Host: {target.authority}\r\n"
        "User-Agent: tgibf\r\n"
        "Content-Type: application/json\r\n"
        f"{connection}"
        "Content-Length: "
    ).encode()


def _request(head: bytes, body: bytes, proof: bytes = b"") -> bytes:
    return b"%s%d\r\n%s\r\n%s" % (head, len(body), proof, body)
