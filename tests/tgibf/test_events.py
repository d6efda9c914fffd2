"""The events that are sent."""

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

from tests.tgibf.generator import tgibf
from tests.tgibf.peer import Peer
from tgibf.events import load_events


def test_the_forty_fixed_events() -> None:
    events = [json.loads(event) for event in load_events()]

    assert len(events) == 40
    assert len({json.dumps(event) for event in events}) == 40
    types = ["call.new", "call.standby", "call.ongoing", "call.finished"]
    calls = Counter(event["call_id"] for event in events)
    assert list(calls.values()) == [4] * 10
    assert [event["type"] for event in events] == types * 10
    times = [datetime.fromisoformat(event["timestamp"]) for event in events]
    assert all(b - a == timedelta(seconds=10) for a, b in pairwise(times))
    assert events[0] == {
        "call_id": "1463669263.30033",
        "code": "123456",
        "type": "call.new",
        "direction": "inbound",
        "our_number": "0800000000",
        "their_number": "11999990000",
        "timestamp": "2017-01-01T00:00:00Z",
    }


def sent_with(*options: str) -> list[str]:
    """The events that a burst of 200 sends, in order: a receiver may see them in another."""
    with Peer() as peer:
        assert tgibf(peer.url, "--burst-size=200", "--bursts=1", *options).code == 0
    return sorted(json.dumps(event) for event in peer.events())


def test_events_are_drawn_from_the_forty_and_a_seed_repeats_the_draw() -> None:
    drawn = sent_with("--seed=7")

    assert drawn == sent_with("--seed=7")
    assert drawn != sent_with("--seed=8")
    assert set(drawn) <= {json.dumps(json.loads(event)) for event in load_events()}
    assert len(set(drawn)) > 30


def test_a_batch_is_an_array_and_the_last_one_may_be_shorter() -> None:
    with Peer() as peer:
        run = tgibf(peer.url, "--burst-size=250", "--bursts=1", "--batch=100", "--json")

    assert run.summary["acked"] == 250
    assert sorted(len(call.events) for call in peer.calls) == [50, 100, 100]
    assert all(call.body.startswith(b"[") for call in peer.calls)


def test_a_batch_of_one_is_a_bare_object() -> None:
    with Peer() as peer:
        tgibf(peer.url, "--burst-size=1", "--bursts=1", "--batch=1")

    assert isinstance(json.loads(peer.calls[0].body), dict)
    assert "Content-Type: application/json\r\n" in peer.calls[0].head
