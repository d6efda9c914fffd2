"""A node whose disk was lost, and its way back."""

import shutil

from harness.ring import Ring
from harness.stores import new_store
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from webhook.store.audit import stored
from webhook.store.contract import StartError


def test_a_node_with_an_empty_disk_takes_its_old_place_and_has_all_data(three_nodes: Ring) -> None:
    ring = three_nodes
    url = new_store(ring)
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(500)

        # 1. Its disk is lost: the others don't let it in as it is.
        ring.kill(2)
        node = ring.nodes[2]
        shutil.rmtree(node.data)
        receiver.post_many(500)
        node.data.mkdir()
        ring.start_node(2)
        wait_for(lambda: "already exists" in node.log.read_text(), "the refusal", 60)
        wait_for(lambda: not ring.runs(2), "its end", 30)

        # 2. Told to take its old place, it gets what it had and what it missed.
        shutil.rmtree(node.data)
        node.data.mkdir()
        (node.data / "replace").touch()
        ring.start_node(2)
        ring.wait_up()

        # Result: with another node gone every event is still found, and counted.
        ring.kill(1)
        wait_for(lambda: len(rows(url)) == 1000, "every event at the two others", 60)
        wait_for(lambda: receiver.get("/events/count").status == 200, "a count", 30)
        assert receiver.count() == 1000


def rows(url: str) -> list[tuple[int, str]]:
    """What is stored; nothing as long as nobody has noticed that a node is gone."""
    try:
        return stored(url)
    except StartError:
        return []
