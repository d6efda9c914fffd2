"""The bytes of cells, as Cassandra's native protocol defines them (version 4, section 6).

The driver can also make them from objects, for at least 10 us per event; here it costs 1 us per
event.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webhook.events import Event

_COUNT = struct.Struct(">i")
_PAIR = struct.Struct(">iiii")
_EVENT = struct.Struct(">iiqi")  # the tuple's length; received_at; the length of type
_NULL = _COUNT.pack(-1)
_FIXED_BYTES = 4 + 8 + 4 + 4 + 4  # of an event, beside its three texts

EVENT_BYTES = 4 + _FIXED_BYTES
"""What an event takes in a cell beside its three texts."""

encode_int = _COUNT.pack
encode_bigint = struct.Struct(">q").pack


def encode_events(events: Sequence[Event]) -> bytes:
    """A cell of type `list<frozen<event>>`, event being (received_at, type, call_id, body)."""
    cell = [_COUNT.pack(len(events))]
    for event in events:
        kind, body = event.type.encode(), event.body.encode()
        if event.call_id is None:
            call_id = _NULL
            size = _FIXED_BYTES + len(kind) + len(body)
        else:
            text = event.call_id.encode()
            call_id = _COUNT.pack(len(text)) + text
            size = _FIXED_BYTES + len(kind) + len(text) + len(body)
        cell += (
            _EVENT.pack(size, 8, event.received_at, len(kind)),
            kind,
            call_id,
            _COUNT.pack(len(body)),
            body,
        )
    return b"".join(cell)


def encode_counts(counts: Mapping[int, int]) -> bytes:
    """A cell of type `map<int, int>`; its keys must be in order."""
    pairs = [_PAIR.pack(4, key, 4, value) for key, value in sorted(counts.items())]
    return _COUNT.pack(len(pairs)) + b"".join(pairs)


def decode_counts(cell: Iterable[tuple[Any, Any]] | Mapping[Any, Any] | None) -> dict[int, int]:
    """What the driver makes of such a cell."""
    if cell is None:
        return {}
    items = cell.items() if isinstance(cell, Mapping) else cell
    return {int(key): int(value) for key, value in items}
