"""The schema, applied by its one writer."""

import subprocess
import sys
import uuid
from typing import Any

import pytest

from support.schema import UNANSWERED, Schema, SchemaError, apply_schema
from tests.support.ring import CASSANDRA, Ring

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
    assert (second.returncode, second.stdout) == (0, "nothing to do: it is as it should be\n")
    assert tables(lone_node, "teracompra") == before


def test_replication_and_retention_are_changed_in_place(lone_node: Ring) -> None:
    with lone_node.session() as session:
        apply_schema(session, Schema("changed", replication=1, retention=3000))
        assert apply_schema(session, Schema("changed", replication=1, retention=3000)) == []
        done = apply_schema(session, Schema("changed", replication=3, retention=4000))
        assert len(done) == 3
        query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'changed'"
        assert session.execute(query).one().replication["datacenter1"] == "3"
    found = tables(lone_node, "changed")
    assert found["events"].default_time_to_live == 4000
    assert found["lanes"].default_time_to_live == 4000 + 3600


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


def test_a_ring_that_does_not_answer_is_named() -> None:
    refused = script("--hosts", "127.0.0.1")
    assert refused.returncode == UNANSWERED  # another time it may
    assert "no node answers (127.0.0.1" in refused.stderr
    assert "Traceback" not in refused.stderr
