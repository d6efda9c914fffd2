"""The faults that a ring of three is put to: each does what it says, and is undone."""

import re
import time
import uuid

import pytest
from cassandra import ConsistencyLevel, OperationTimedOut, Unavailable, WriteTimeout
from cassandra.cluster import NoHostAvailable
from cassandra.query import SimpleStatement

from harness.ring import Ring
from harness.waiting import wait_for

REFUSED = (Unavailable, WriteTimeout, OperationTimedOut, NoHostAvailable)
KEYSPACE = "faults"
INSERT = f"INSERT INTO {KEYSPACE}.lanes (minute, lane) VALUES (%s, %s)"
SELECT = f"SELECT lane FROM {KEYSPACE}.lanes WHERE minute = %s AND lane = %s"


@pytest.fixture(autouse=True)
def schema(three_nodes: Ring) -> None:
    """The tables; a second time there is nothing to do."""
    three_nodes.apply_schema(KEYSPACE)


def write(ring: Ring, node: int, level: str) -> tuple[int, uuid.UUID]:
    """Write a row through this node at this consistency level; its key."""
    key = (1, uuid.uuid4())
    statement = SimpleStatement(INSERT, consistency_level=getattr(ConsistencyLevel, level))
    with ring.session(node) as session:
        session.execute(statement, key)
    return key


def has(ring: Ring, node: int, key: tuple[int, uuid.UUID]) -> bool:
    """Whether the row can be read through this node."""
    with ring.session(node) as session:
        return session.execute(SELECT, key).one() is not None


def states(ring: Ring, node: int) -> list[str]:
    """UN, DN, ... of each node, as this node sees them, in order of their addresses."""
    lines = [line.split() for line in ring.nodetool(node, "status").splitlines()]
    return [
        words[0]
        for words in sorted(lines, key=lambda w: w[1:2])
        if words[1:2] and words[1] in ring.hosts
    ]


def test_three_nodes_form_one_ring(three_nodes: Ring) -> None:
    for node in three_nodes.nodes:
        assert states(three_nodes, node) == ["UN", "UN", "UN"]
        write(three_nodes, node, "ALL")
    with three_nodes.session(1) as session:
        tokens = [set(row.tokens) for row in session.execute("SELECT tokens FROM system.peers_v2")]
        tokens.append(set(session.execute("SELECT tokens FROM system.local").one().tokens))
    assert len(set.union(*tokens)) == 3 * 4


def test_a_killed_node_is_missed_and_gets_what_it_missed(three_nodes: Ring) -> None:
    pid = three_nodes.pid(2)
    three_nodes.kill(2)
    said_before = len(three_nodes.log(1))
    with pytest.raises(REFUSED):
        write(three_nodes, 1, "ALL")
    key = write(three_nodes, 1, "QUORUM")
    three_nodes.start_node(2)
    three_nodes.wait_up()
    assert three_nodes.pid(2) != pid
    write(three_nodes, 2, "ALL")
    delivered = f"Finished hinted handoff of file .* to endpoint /{three_nodes.hosts[1]}:7000"
    # A file of hints that began earlier may be through first, without this row in it.
    wait_for(
        lambda: re.search(delivered, three_nodes.log(1)[said_before:]) and has(three_nodes, 2, key),
        "the hint for node 2",
        60,
    )


def test_a_paused_node_answers_nobody_until_it_is_resumed(three_nodes: Ring) -> None:
    three_nodes.pause(3)
    with pytest.raises(REFUSED):
        write(three_nodes, 1, "ALL")
    write(three_nodes, 1, "QUORUM")
    three_nodes.resume(3)
    three_nodes.wait_up()
    write(three_nodes, 3, "ALL")


def test_a_paused_node_can_be_killed(three_nodes: Ring) -> None:
    three_nodes.pause(3)
    three_nodes.kill(3)
    assert not three_nodes.runs(3)
    three_nodes.start_node(3)
    three_nodes.wait_up()
    write(three_nodes, 3, "ALL")


def test_a_node_that_is_cut_off_serves_clients_without_the_others(three_nodes: Ring) -> None:
    three_nodes.cut(1)
    write(three_nodes, 1, "ONE")
    with pytest.raises(REFUSED):
        write(three_nodes, 1, "QUORUM")
    write(three_nodes, 2, "QUORUM")
    three_nodes.heal(1)
    three_nodes.wait_up()
    write(three_nodes, 1, "ALL")


def test_an_isolated_node_is_out_of_clients_reach(three_nodes: Ring) -> None:
    three_nodes.isolate(2)
    with pytest.raises(REFUSED):
        write(three_nodes, 2, "ONE")
    write(three_nodes, 3, "QUORUM")
    three_nodes.heal(2)
    three_nodes.wait_up()
    write(three_nodes, 2, "ALL")


def test_a_stopped_node_says_goodbye(three_nodes: Ring) -> None:
    three_nodes.stop_node(3)
    began = time.monotonic()
    with pytest.raises((Unavailable, NoHostAvailable)):
        write(three_nodes, 1, "ALL")
    assert time.monotonic() - began < 2, "it was not known to be down"
    three_nodes.start_node(3)
    three_nodes.wait_up()
    write(three_nodes, 3, "ALL")
