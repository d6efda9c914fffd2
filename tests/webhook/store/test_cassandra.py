"""What only the Cassandra store must do: come and go with its ring, refuse what is too much."""

from pathlib import Path
from typing import Any

import pytest

from harness.ring import Ring
from harness.stores import new_store
from harness.waiting import wait_for
from tests.support.checked_receiver import EVENT, Receiver
from tests.support.faked_clock import FakedClock
from webhook.store.audit import stored

RECOVERY_SECONDS = 10


@pytest.mark.usefixtures("no_shared_ring")
def test_the_receiver_may_be_there_before_the_ring_and_before_the_schema(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    url = f"cassandra://{ring.hosts[0]}/early"
    with Receiver(url, expect_errors=True) as receiver:
        assert receiver.get("/health").status == 200
        assert not receiver.ready()
        assert receiver.post().status == receiver.get("/events/count").status == 503
        assert receiver.post().json["stored"] == "no"
        with ring:
            wait_for(lambda: "the schema is missing" in receiver.log, "it found the ring", 30)
            assert not receiver.ready()
            ring.apply_schema("early")
            wait_for(receiver.ready, "ready", RECOVERY_SECONDS)
            receiver.post_many(10)
            assert receiver.count() == len(stored(url)) == 10


@pytest.fixture
def ring(lone_node: Ring) -> Ring:
    return lone_node


def test_the_whole_ring_goes_and_comes_back(ring: Ring) -> None:
    url = new_store(ring)
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(100)
        ring.kill(1)
        wait_for(lambda: receiver.post(EVENT).status == 503, "refusal", 30)
        assert not receiver.ready()
        ring.start_node(1)
        ring.wait_up()
        wait_for(receiver.ready, "ready again, by itself", RECOVERY_SECONDS)
        receiver.post_many(100)
        assert receiver.count() == len(stored(url)) >= 200


def test_a_ring_that_hangs_is_503_and_no_growing_memory(ring: Ring) -> None:
    url = new_store(ring)
    settings: dict[str, Any] = {"answer_seconds": 2, "max_held_events": 5000}
    with Receiver(url, expect_errors=True, **settings) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(1000)
        acknowledged = 1000
        ring.pause(1)
        try:
            statuses = [receiver.post([EVENT] * 1000).status for _ in range(12)]
            assert receiver.metric("webhook_held_events") <= 5000
            assert not receiver.ready()
        finally:
            ring.resume(1)
        assert statuses == [503] * 12
        wait_for(receiver.ready, "ready again", 30)
        receiver.post_many(1000)
        acknowledged += 1000
        wait_for(lambda: receiver.count() == len(stored(url)), "the count is the rows", 60)
        assert receiver.count() >= acknowledged


def test_looking_whether_it_is_ready_costs_counts_nothing(ring: Ring) -> None:
    """What is final is remembered, however often somebody asks for /ready."""
    with Receiver(new_store(ring)) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(10)
        receiver.count()
        before = receiver.metric("webhook_store_reads_total")
        for _ in range(5):
            assert receiver.ready()
            assert receiver.count() == 10
        # The lists of the minutes that can still change, four at most, and the one lane.
        assert receiver.metric("webhook_store_reads_total") - before <= 5 * 5


def test_a_clock_set_back_by_a_minute_hides_no_event(ring: Ring, tmp_path: Path) -> None:
    clock = FakedClock(tmp_path / "offset")
    with Receiver(new_store(ring), command=clock.command) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(10)
        clock.set(-60)
        wait_for(lambda: receiver.metric("webhook_clock_behind_seconds") > 50, "the step back")
        receiver.post_many(10)
        assert receiver.count() == 20
        assert not receiver.ready()
        assert "clock was set back" in receiver.get("/ready").json["detail"]
        clock.set(0)
        wait_for(receiver.ready, "ready again")


def test_clocks_that_tick_over_a_minute_leave_sealed_lanes(ring: Ring) -> None:
    """An idle lane is sealed when its minute is over; a reader then asks for its list only."""
    url = new_store(ring)
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(10)
    keyspace = url.rpartition("/")[2]
    with ring.session() as session:
        rows = list(session.execute(f"SELECT sealed, counts FROM {keyspace}.lanes"))
    assert [row.sealed for row in rows] == [True]  # by the stop, here
    assert sum(rows[0].counts.values()) == 10


def test_an_operator_reads_a_minute_with_cql(ring: Ring) -> None:
    url = new_store(ring)
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post({"type": "call.new", "call_id": "7"})
        minute = stored(url)[0][0] // 60_000_000
    keyspace = url.rpartition("/")[2]
    with ring.session() as session:
        (lane,) = session.execute(f"SELECT lane FROM {keyspace}.lanes WHERE minute = {minute}")
        (row,) = session.execute(
            f"SELECT seq, total, events FROM {keyspace}.events "
            f"WHERE minute = {minute} AND lane = {lane.lane}"
        )
    assert (row.seq, row.total) == (0, 1)
    assert (row.events[0].type, row.events[0].call_id) == ("call.new", "7")
