"""A query by hand, however large what it asks for, does not end a node."""

import time
import uuid

import pytest
from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import NoHostAvailable
from cassandra.query import SimpleStatement

from harness.ring import Ring
from harness.stores import new_store
from webhook.store.audit import stored

MIB = 1 << 20
LARGEST = 6 * MIB  # about what the body of one POST may have at most


def fill(ring: Ring, url: str, rows: int, size: int) -> None:
    """Store `rows` writes of one event of `size` bytes each, in partitions as lanes make them."""
    with ring.session(keyspace=url.rpartition("/")[2]) as session:
        insert = session.prepare(
            "INSERT INTO events (minute, lane, seq, events) VALUES (?, ?, ?, ?)"
        )
        minute, lane = int(time.time()) // 60, uuid.uuid4()
        body = "x" * size
        for seq in range(rows):
            received_at = minute * 60_000_000 + seq
            values = [minute, lane, seq, [(received_at, "call.new", None, body)]]
            session.execute(insert, values, timeout=30)


@pytest.mark.parametrize("fetch_size", [5000, None], ids=["the driver's page", "no pages"])
def test_all_rows_of_a_megabyte_at_once(lone_node: Ring, fetch_size: int | None) -> None:
    url = new_store(lone_node)
    fill(lone_node, url, 200, MIB)
    pid = lone_node.pid(1)
    query = f"SELECT * FROM {url.rpartition('/')[2]}.events"
    for _ in range(3):
        with lone_node.session() as session:
            statement = SimpleStatement(
                query, fetch_size=fetch_size, consistency_level=ConsistencyLevel.ONE
            )
            with pytest.raises((DriverException, NoHostAvailable)):
                list(session.execute(statement, timeout=30))
    assert lone_node.runs(1), lone_node.nodes[1].tail()
    assert lone_node.pid(1) == pid
    fill(lone_node, url, 1, 1)


def test_a_look_by_hand_as_the_docs_have_it(lone_node: Ring) -> None:
    url = new_store(lone_node)
    fill(lone_node, url, 40, MIB)
    table = f"{url.rpartition('/')[2]}.events"
    with lone_node.session() as session:
        rows = session.execute(SimpleStatement(f"SELECT * FROM {table}", fetch_size=1), timeout=30)
        assert len(list(rows)) == 40
        rows = session.execute(f"SELECT minute, lane, seq, total FROM {table} LIMIT 1000")
        assert len(list(rows)) == 40
        with pytest.raises(DriverException, match="local_read_size_fail_threshold"):
            list(session.execute(f"SELECT * FROM {table}", timeout=30))


@pytest.mark.parametrize(("rows", "size"), [(200, MIB), (20, LARGEST)])
def test_the_product_s_own_look_sees_them_all(lone_node: Ring, rows: int, size: int) -> None:
    url = new_store(lone_node)
    fill(lone_node, url, rows, size)
    assert [len(body) for _, body in stored(url)] == [size] * rows
