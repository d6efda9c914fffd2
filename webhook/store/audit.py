"""Reads a store without the receiver: what is really there, event by event.

Only for verification. It reads every event, so its cost grows with their number.
"""

import json
from collections.abc import Iterator
from operator import itemgetter

from webhook.clock import MICROSECONDS
from webhook.store.kinds import kind_of


def stored(url: str) -> list[tuple[int, str]]:
    """`(received_at in microseconds, body)` of each stored event, in order of receipt.

    Raises StartError if there is no such store or it can't be read.
    """
    return sorted(each_stored(url), key=itemgetter(0))


def each_stored(url: str) -> Iterator[tuple[int, str]]:
    """The same one after another, in no particular order: a store may be larger than memory.

    Raises StartError when the first is asked for, or a later one.
    """
    return kind_of(url).rows(url)


def stored_ids(url: str) -> Iterator[str]:
    """The `id` field of every stored event that has one, as often as it is stored."""
    for _, body in each_stored(url):
        name = json.loads(body).get("id")
        if name is not None:
            yield name


def stored_since(url: str, second: int) -> int:
    """How many events are stored that were received at `second` (Unix time) or later."""
    return sum(received_at >= second * MICROSECONDS for received_at, _ in each_stored(url))
