"""Our bytes of cells are those that the driver reads as what we meant."""

from cassandra.cqltypes import lookup_casstype
from hypothesis import given
from hypothesis import strategies as st

from webhook.events import Event
from webhook.store.cassandra.codec import decode_counts, encode_counts, encode_events

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
EVENTS = st.lists(
    st.builds(Event, st.integers(0, 2**62), TEXT, st.none() | TEXT, TEXT), max_size=20
)
COUNTS = st.dictionaries(st.integers(0, 59), st.integers(0, 2**31 - 1))

# A frozen tuple has the bytes of a frozen user-defined type, and needs no keyspace.
EVENT_LIST = lookup_casstype(
    "ListType(TupleType(LongType, UTF8Type, UTF8Type, UTF8Type))"
)  # fmt: skip
COUNT_MAP = lookup_casstype("MapType(Int32Type, Int32Type)")
PROTOCOL = 4


@given(EVENTS)
def test_events(events: list[Event]) -> None:
    read = EVENT_LIST.from_binary(encode_events(events), PROTOCOL) if events else []
    assert [tuple(one) for one in read] == [
        (event.received_at, event.type, event.call_id, event.body) for event in events
    ]


@given(COUNTS)
def test_counts(counts: dict[int, int]) -> None:
    cell = encode_counts(counts)
    assert decode_counts(COUNT_MAP.from_binary(cell, PROTOCOL)) == counts
    assert cell == COUNT_MAP.to_binary(dict(sorted(counts.items())), PROTOCOL)


def test_no_counts() -> None:
    assert decode_counts(None) == {}
