"""Tables that are emptied, restored or made again under running receivers.

A receiver that had remembered what it read, and one that has just started, must say the same.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.http import Answer
from harness.ring import CASSANDRA, Ring
from harness.stores import new_store
from harness.verification import settled_counts
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from webhook.store.audit import stored

AGREE_SECONDS = 20


def command(ring: Ring, url: str, *arguments: str) -> None:
    """`scripts/cassandra` with this keyspace."""
    keyspace = url.rpartition("/")[2]
    place = ("--hosts", ring.hosts[0], "--keyspace", keyspace)
    subprocess.run([sys.executable, CASSANDRA, *arguments, *place], check=True, timeout=120)


def execute(ring: Ring, *statements: str) -> None:
    with ring.session() as session:
        for statement in statements:
            session.execute(statement, timeout=60)


def ready(receiver: Receiver) -> Receiver:
    wait_for(receiver.ready, "ready", 30)
    return receiver


@contextmanager
def remembering(url: str) -> Iterator[tuple[Receiver, Receiver]]:
    """Two receivers: both remember what a third had written, and have written themselves."""
    with Receiver(url) as first:
        ready(first).post_many(100)
    with Receiver(url) as one, Receiver(url) as other:
        for receiver in (one, other):
            ready(receiver).post_many(50)
        assert one.count() == other.count() == 200
        yield one, other


@contextmanager
def load(*receivers: Receiver) -> Iterator[list[Answer]]:
    """Events to the receivers in turns, from `with` to its end; the answers so far."""
    enough = threading.Event()
    answers: list[Answer] = []

    def post() -> None:
        while not enough.wait(0.01):
            answers.extend(receiver.post() for receiver in receivers)

    posting = threading.Thread(target=post)
    posting.start()
    try:
        yield answers
    finally:
        enough.set()
        posting.join()


def agree(url: str, *receivers: Receiver) -> int:
    """Return, with the count, when these receivers and a fresh one say the same."""
    with Receiver(url) as fresh:
        ready(fresh)

        def same() -> bool:
            return len({receiver.count() for receiver in (*receivers, fresh)}) == 1

        wait_for(same, "one and the same count", AGREE_SECONDS, 0.2)
        return fresh.count()


def test_the_command_empties_a_ring_under_load(lone_node: Ring) -> None:
    url = new_store(lone_node)
    with remembering(url) as (one, other):
        with load(one, other) as answers:
            command(lone_node, url, "empty")
            wait_for(
                lambda: all("the tables have changed" in r.log for r in (one, other)),
                "it is noticed",
            )
            wait_for(lambda: len(stored(url)) > 50, "more events", 30)
        settled_counts([one.url, other.url], url)
        assert agree(url, one, other) == len(stored(url)) > 50
        assert {answer.status for answer in answers} == {200}


def test_a_stop_right_after_the_tables_were_emptied(lone_node: Ring) -> None:
    url = new_store(lone_node)
    keyspace = url.rpartition("/")[2]
    with remembering(url) as (one, other):
        execute(lone_node, f"TRUNCATE {keyspace}.events", f"TRUNCATE {keyspace}.lanes")
        one.post_many(7)
        one.stop()
        settled_counts([other.url], url)
        assert agree(url, other) == len(stored(url)) == 7


@pytest.mark.parametrize(
    "tables", [["events"], ["lanes"], ["events", "lanes"], ["lanes", "events"]]
)
def test_tables_emptied_by_hand(lone_node: Ring, tables: list[str]) -> None:
    url = new_store(lone_node)
    with remembering(url) as (one, other):
        keyspace = url.rpartition("/")[2]
        execute(lone_node, *(f"TRUNCATE {keyspace}.{table}" for table in tables))
        one.post_many(7)
        agree(url, one, other)
        one.post_many(7)
        if len(tables) == 2:
            settled_counts([one.url, other.url], url)
            assert agree(url, one, other) == len(stored(url)) == 14
        else:
            agree(url, one, other)


def test_a_keyspace_that_is_dropped_and_made_again(lone_node: Ring) -> None:
    url = new_store(lone_node)
    keyspace = url.rpartition("/")[2]
    with remembering(url) as (one, other):
        execute(lone_node, f"DROP KEYSPACE {keyspace}")
        wait_for(lambda: one.post().status == 503, "refusal", 30)
        lone_node.apply_schema(keyspace)
        for receiver in (one, other):
            ready(receiver).post_many(7)
        settled_counts([one.url, other.url], url)
        # The POST that found no table may have been stored when there was one again.
        assert agree(url, one, other) == len(stored(url)) in {14, 15}


def test_a_snapshot_is_restored_under_load(lone_node: Ring) -> None:
    url = new_store(lone_node)
    keyspace = url.rpartition("/")[2]
    with remembering(url) as (one, other):
        # 1. A snapshot; then more, and the loss of all.
        lone_node.nodetool(1, "snapshot", "-t", "kept", keyspace)
        one.post_many(30)
        command(lone_node, url, "empty")
        wait_for(lambda: one.count() == other.count() == 0, "nothing is left", AGREE_SECONDS)

        # 2. It is put back, on each node, while events come; receivers are told.
        with load(one, other) as answers:
            data = lone_node.nodes[1].data / "data" / keyspace
            for snapshot in sorted(data.glob("*/snapshots/kept")):
                table = snapshot.parents[1]
                inside = Path("/var/lib/cassandra/data") / snapshot.relative_to(data.parent)
                name = table.name.partition("-")[0]
                lone_node.nodetool(1, "import", "--copy-data", keyspace, name, str(inside))
            command(lone_node, url, "reread")
            wait_for(lambda: min(one.count(), other.count()) > 200, "the snapshot", AGREE_SECONDS)

        # Result: what the snapshot had is counted by all, and so is what came.
        assert {answer.status for answer in answers} == {200}
        settled_counts([one.url, other.url], url)
        assert agree(url, one, other) == len(stored(url)) == 200 + len(answers)


def test_all_three_nodes_are_emptied(three_nodes: Ring) -> None:
    url = new_store(three_nodes)
    with remembering(url) as (one, other):
        command(three_nodes, url, "empty")
        one.post_many(7)
        settled_counts([one.url, other.url], url)
        assert agree(url, one, other) == len(stored(url))
