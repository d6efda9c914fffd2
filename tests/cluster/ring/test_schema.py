"""The schema, applied by its one writer."""

import subprocess
import sys
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.ring.schema import (
    UNANSWERED,
    Schema,
    SchemaError,
    UnansweredError,
    apply_schema,
    replication,
    replication_changes,
    session_at,
)
from harness.ring import CASSANDRA, Ring
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from webhook.store.audit import stored

MAX_HINT_WINDOW = 3 * 3600


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`scripts/cassandra schema` to its end."""
    return subprocess.run(
        [sys.executable, CASSANDRA, "schema", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tables(ring: Ring, keyspace: str) -> dict[str, Any]:
    """Rows of system_schema.tables, by name."""
    query = "SELECT * FROM system_schema.tables WHERE keyspace_name = %s"
    with ring.session() as session:
        return {row.table_name: row for row in session.execute(query, [keyspace])}


def test_applied_twice_it_does_nothing_the_second_time(lone_node: Ring) -> None:
    first = script("--hosts", lone_node.hosts[0])
    assert first.returncode == 0, first.stderr
    assert "created teracompra.events" in first.stdout
    before = tables(lone_node, "teracompra")
    second = script("--hosts", lone_node.hosts[0])
    assert (second.returncode, second.stdout) == (0, "nothing to do: the schema is up to date\n")
    assert tables(lone_node, "teracompra") == before


def factor(ring: Ring, keyspace: str) -> str:
    """The keyspace's replication factor."""
    with ring.session() as session:
        return replication(session, keyspace).get("datacenter1", "none")


def test_retention_is_changed_in_place(lone_node: Ring) -> None:
    with lone_node.session() as session:
        apply_schema(session, Schema("changed", replication=1, retention=3000))
        assert apply_schema(session, Schema("changed", replication=1, retention=3000)) == []
        assert len(apply_schema(session, Schema("changed", retention=4000))) == 2
    found = tables(lone_node, "changed")
    assert found["events"].default_time_to_live == 4000
    assert found["lanes"].default_time_to_live == 4000 + 3600


def test_what_is_not_said_stays(lone_node: Ring) -> None:
    host = ("--hosts", lone_node.hosts[0], "--keyspace", "stays")
    first = script(*host, "--replication", "1", "--retention", "2592000")
    assert first.returncode == 0, first.stderr
    again = script(*host)
    assert (again.returncode, again.stdout) == (0, "nothing to do: the schema is up to date\n")
    found = tables(lone_node, "stays")
    assert found["events"].default_time_to_live == 2592000
    # A table that was lost is made again to fit the other one.
    with lone_node.session() as session:
        session.execute("DROP TABLE stays.lanes")
    assert script(*host).returncode == 0
    assert tables(lone_node, "stays")["lanes"].default_time_to_live == 2592000 + 3600


def test_another_data_centre_keeps_its_copies() -> None:
    there = {
        "class": "org.apache.cassandra.locator.NetworkTopologyStrategy",
        "datacenter1": "1",
        "elsewhere": "3",
    }
    session = FoundSession(there)
    (change,) = replication_changes(session, Schema(replication=3))
    assert change == f"ALTER KEYSPACE teracompra WITH replication = {there | {'datacenter1': '2'}}"
    assert replication_changes(session, Schema(retention=3000)) == []


def test_a_strategy_of_somebody_else_s_is_left_to_him() -> None:
    simple = {"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "1"}
    with pytest.raises(SchemaError, match="ALTER KEYSPACE"):
        replication_changes(FoundSession(simple), Schema(replication=3))


class FoundSession:
    """A driver's session that finds this replication."""

    def __init__(self, there: dict[str, str]) -> None:
        self._there = there

    def execute(self, _query: str, _values: list[str]) -> "FoundSession":
        return self

    def one(self) -> Any:
        return SimpleNamespace(replication=self._there)


def test_fewer_nodes_than_named_make_no_keyspace_of_one_copy(lone_node: Ring) -> None:
    """As when it is run while two of three nodes have not joined yet."""
    hosts = "192.168.56.11,192.168.56.12,192.168.56.13"
    refused = script("--hosts", hosts, "--keyspace", "early")
    assert refused.returncode == 1
    assert "1 of the 3 nodes named are in the ring" in refused.stderr
    assert tables(lone_node, "early") == {}
    said = script("--hosts", hosts, "--keyspace", "early", "--replication", "1")
    assert said.returncode == 0, said.stderr


def test_more_copies_come_one_at_a_time_and_no_event_is_out_of_sight(three_nodes: Ring) -> None:
    ring, keyspace = three_nodes, f"grown_{uuid.uuid4().hex[:8]}"
    arguments = ("--hosts", ring.hosts[0], "--keyspace", keyspace)
    url = f"cassandra://{','.join(ring.hosts)}/{keyspace}"

    def repair() -> None:
        for node in ring.nodes:
            ring.nodetool(node, "repair", "-full", keyspace)

    # 1. One copy of each event, as on a ring that began as one node: the receiver says so.
    made = script(*arguments, "--replication", "1")
    assert "warning: each event is on 1 of 3 nodes" in made.stdout
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        wait_for(lambda: "has each event on 1 of 3 nodes" in receiver.log, "the warning")
        assert receiver.metric("webhook_ring_copies") == 1
        for _ in range(20):
            receiver.post_many(25)

        # 2. A second one; what is stored is still seen by all.
        second = script(*arguments, "--replication", "3")
        assert (second.returncode, factor(ring, keyspace)) == (0, "2"), second.stderr
        assert f"repair -full {keyspace}; then this again with --repaired" in second.stdout
        assert receiver.count() == len(stored(url)) == 500
        refused = script(*arguments, "--replication", "3")
        assert (refused.returncode, factor(ring, keyspace)) == (1, "2")
        assert "before every copy is whole" in refused.stderr

        # 3. A third, after the repair.
        repair()
        third = script(*arguments, "--replication", "3", "--repaired")
        assert (third.returncode, factor(ring, keyspace)) == (0, "3"), third.stderr
        assert receiver.count() == len(stored(url)) == 500
        wait_for(lambda: receiver.metric("webhook_ring_copies") == 3, "the receiver knows")
        with Receiver(url) as fresh:
            wait_for(fresh.ready, "ready", 30)
            assert fresh.count() == 500

        # Result: after another repair any node may die.
        repair()
        ring.kill(1)
        wait_for(lambda: receiver.get("/events/count").status == 200, "a count", 30)
        wait_for(lambda: receiver.post().status == 200, "a write", 30)
        assert receiver.count() >= 501


def test_options_that_the_counts_rest_on(lone_node: Ring) -> None:
    lone_node.apply_schema("options")
    found = tables(lone_node, "options")
    assert found.keys() == {"events", "lanes"}
    for table in found.values():
        assert table.read_repair == "NONE"
        assert table.gc_grace_seconds > MAX_HINT_WINDOW
        assert table.compaction["class"].endswith("TimeWindowCompactionStrategy")
    assert found["lanes"].default_time_to_live > found["events"].default_time_to_live


def test_a_group_is_one_row_and_its_counts_come_with_it(lone_node: Ring) -> None:
    lone_node.apply_schema("groups")
    lane = uuid.uuid4()
    with lone_node.session(keyspace="groups") as session:
        for seq, total in enumerate([2, 3]):
            session.execute(
                "INSERT INTO events (minute, lane, seq, counts, total, events) VALUES (1, %s, %s, "
                "%s, %s, [{received_at: 60000000, type: 'call.new', call_id: 'a', body: '{}'}])",
                [lane, seq, {0: total}, total],
            )
        rows = session.execute("SELECT * FROM events WHERE minute = 1 AND lane = %s", [lane])
        assert [(row.seq, row.events[0].type, row.total) for row in rows] == [
            (0, "call.new", 3),
            (1, "call.new", 3),
        ]
        query = "SELECT DISTINCT minute, lane, counts FROM events WHERE minute = 1 AND lane = %s"
        assert [dict(row.counts) for row in session.execute(query, [lane])] == [{0: 3}]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"retention": 2099}, "2100 s or more"),
        ({"replication": 0}, "1 or more"),
        ({"keyspace": "x; DROP KEYSPACE y"}, "lower-case letters"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        Schema(**settings)


def test_more_replicas_than_nodes_are_refused(lone_node: Ring) -> None:
    refused = script("--hosts", lone_node.hosts[0], "--replication", "2", "--keyspace", "more")
    assert refused.returncode == 1
    assert "there is 1 node" in refused.stderr


def written(hosts: list[str], keyspace: str, level: str) -> None:
    """Write a row, so that as many nodes as the consistency level says know it."""
    from cassandra import ConsistencyLevel
    from cassandra.query import SimpleStatement

    row = f"INSERT INTO {keyspace}.lanes (minute, lane) VALUES (1, uuid())"
    statement = SimpleStatement(row, consistency_level=ConsistencyLevel.name_to_value[level])
    with session_at(hosts, alone=True) as session:
        session.execute(statement)


def test_too_few_nodes_for_now_is_no_answer_yet(three_nodes: Ring) -> None:
    """A node that hangs: its ring has it as alive at first. Result: who asked may ask again."""
    keyspace = three_nodes.new_keyspace()
    hosts = three_nodes.hosts[:1]
    written(hosts, keyspace, "ALL")
    three_nodes.pause(3)
    try:
        with pytest.raises(UnansweredError, match="timed out"):
            written(hosts, keyspace, "ALL")
        wait_for(lambda: "DN" in three_nodes.nodetool(1, "status"), "the ring to notice", 60)
        with pytest.raises(UnansweredError, match="required_replicas"):
            written(hosts, keyspace, "ALL")
    finally:
        three_nodes.resume(3)
        three_nodes.wait_up()
    written(hosts, keyspace, "ALL")


def test_a_ring_that_does_not_answer_is_named() -> None:
    refused = script("--hosts", "127.0.0.1")
    assert refused.returncode == UNANSWERED  # another time it may
    assert "no node answers (127.0.0.1" in refused.stderr
    assert "Traceback" not in refused.stderr
