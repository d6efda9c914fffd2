"""A receiver whose clock is wrong from its start: the ring has clocks."""

from pathlib import Path

import pytest

from harness.ring import Ring
from harness.stores import new_store
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.faked_clock import FakedClock

AHEAD = "webhook_clock_ahead_of_ring_seconds"


def detail(receiver: Receiver) -> str:
    """What /ready says of why it is not; empty if it is."""
    return str(receiver.get("/ready").json.get("detail", ""))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (600, "600 s ahead of the ring's"),
        (-600, "600 s behind the ring's"),
        (8 * 24 * 3600, "691200 s ahead of the ring's"),
        (-(54 * 365 * 24 * 3600), "behind the ring's"),
    ],
)
def test_wrong_from_the_start_it_is_never_ready(
    lone_node: Ring, tmp_path: Path, seconds: int, words: str
) -> None:
    clock = FakedClock(tmp_path / "offset", seconds)
    with Receiver(new_store(lone_node), command=clock.command) as receiver:
        wait_for(lambda: words in detail(receiver), "the reason", 30)
        assert abs(receiver.metric(AHEAD) - seconds) < 2
        assert receiver.log.count(words) == 1
        assert receiver.get("/health").status == 200


def test_set_right_it_is_ready_by_itself(lone_node: Ring, tmp_path: Path) -> None:
    clock = FakedClock(tmp_path / "offset", -600)
    with Receiver(new_store(lone_node), command=clock.command) as receiver:
        wait_for(lambda: "behind the ring's" in detail(receiver), "the reason", 30)
        clock.set(0)
        wait_for(receiver.ready, "ready", 30)
        assert abs(receiver.metric(AHEAD)) < 2
        receiver.post_many(10)
        assert receiver.count() == 10


def test_a_clock_within_the_bound_is_well(lone_node: Ring, tmp_path: Path) -> None:
    clock = FakedClock(tmp_path / "offset", 5)
    with Receiver(new_store(lone_node), command=clock.command) as receiver:
        wait_for(receiver.ready, "ready", 30)
        assert 3 < receiver.metric(AHEAD) < 7


def test_all_three_nodes_are_asked(three_nodes: Ring) -> None:
    """The figures show how many nodes there are, and on how many each event is."""
    with Receiver(new_store(three_nodes)) as receiver:
        wait_for(receiver.ready, "ready", 30)
        wait_for(lambda: receiver.metric("webhook_ring_connected_nodes") == 3, "all nodes")
        assert receiver.metric("webhook_ring_nodes") == 3
        assert receiver.metric("webhook_ring_copies") == 3
        assert abs(receiver.metric(AHEAD)) < 1
