"""Bodies that are larger than what the ring takes in one write: refused at the start."""

import json
from pathlib import Path

import pytest

from harness.ring import Ring
from harness.stores import new_store
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from webhook.store.cassandra.lane import largest_body

MAX_ARRAY_EVENTS = 1000  # unless set
LARGEST = largest_body(MAX_ARRAY_EVENTS)


def test_more_than_the_ring_takes_stops_the_start() -> None:
    receiver = Receiver("cassandra://127.0.0.1/none", max_body_bytes=LARGEST + 1)
    with pytest.raises(RuntimeError, match=f"WEBHOOK_MAX_BODY_BYTES=.* at most {LARGEST}"):
        receiver.start()
    assert receiver.process.returncode == 3


def test_sqlite_takes_them(store_path: Path) -> None:
    with Receiver(store_path, max_body_bytes=LARGEST + 1) as receiver:
        assert receiver.post().status == 200


@pytest.mark.parametrize("events", [1, MAX_ARRAY_EVENTS])
def test_the_largest_that_is_allowed_is_stored(lone_node: Ring, events: int) -> None:
    """Also where nearly all of it is in `type`, which is stored once more."""
    with Receiver(new_store(lone_node), max_body_bytes=LARGEST) as receiver:
        wait_for(receiver.ready, "ready", 30)
        text = "x" * (LARGEST // events - len('{"type":""},') - 1)
        body = json.dumps([{"type": text}] * events, separators=(",", ":")).encode()
        assert LARGEST - 3 * events <= len(body) <= LARGEST
        answer = receiver.post(body)
        assert answer.json == {"accepted": events}, answer
        assert receiver.post(body + b" " * 3 * events).status == 413
        assert receiver.count() == events


def test_a_limit_on_arrays_leaves_room_for_bodies() -> None:
    assert largest_body(1) > largest_body(MAX_ARRAY_EVENTS) > 6_000_000
    assert largest_body(1 << 40) > 2_000_000
