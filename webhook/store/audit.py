"""Reads a store without the receiver: what is really there, event by event.

Only for verification. It reads every event, so its cost grows with their number.
"""

import json
from collections.abc import Iterator
from operator import itemgetter

import msgspec

from webhook.clock import MICROSECONDS
from webhook.store.kinds import kind_of


class _Event(msgspec.Struct, gc=False):
    id: msgspec.Raw = msgspec.Raw(b"null")


_DECODER = msgspec.json.Decoder(_Event)
_STRING = msgspec.json.Decoder(str)


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
    """The id of every stored event that has one, as in `id_of`, as often as it is stored."""
    for _, body in each_stored(url):
        name = id_of(body)
        if name is not None:
            yield name


def id_of(body: str) -> str | None:
    """The `id` in an event's text, None if it has none.

    It may be anybody's event, so it may be anything: what is no string comes as its JSON, and half
    a character as its escape, `\\ud800`. The result can be compared, encoded and written anywhere.
    """
    try:
        text = str(memoryview(_DECODER.decode(body).id), "utf-8")
        if text.startswith('"'):
            return _STRING.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _leniently(body)
    return None if text == "null" else text


def _leniently(body: str) -> str | None:
    """The id where a strict parser sees no JSON; None if nobody does."""
    try:
        event = json.loads(body, parse_int=str)
        name = event.get("id") if isinstance(event, dict) else None
        text = name if name is None or isinstance(name, str) else json.dumps(name)
    except (ValueError, RecursionError):
        return None
    return None if text is None else text.encode(errors="backslashreplace").decode()


def stored_since(url: str, second: int) -> int:
    """How many events are stored that were received at `second` (Unix time) or later."""
    return sum(received_at >= second * MICROSECONDS for received_at, _ in each_stored(url))
