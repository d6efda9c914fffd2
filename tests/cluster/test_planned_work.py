"""What operators do to a cluster that runs, under load: no event fails.

A connection for each event, at each node's door. A door that is closed on purpose refuses to
connect, and its clients go to another one; nothing else may happen to a request.
"""

from pathlib import Path

import pytest

from cluster.jobs import client_id
from cluster.layout import NODES, Node
from cluster.spreading import allocations_by_node
from harness.cluster import STORE, Cluster
from harness.doors import Doors, Seen
from harness.verification import Bounds, judged, of_its_runs, settled_counts
from harness.waiting import wait_for
from tests.support.say import Say
from webhook.store.audit import stored_ids

NODE = NODES[1]
PARTS, AT_LENGTH = ("nomad", "fabio"), ("consul", "cassandra")
RATE = 20  # events/s at each door: two cores have time for the nodes, too
REFUSED = {"connect: refused"}


def gather_on(cluster: Cluster, node: Node) -> None:
    """Have all allocations of the webhook on one node."""
    number = cluster.count()
    others = [client_id(one) for one in NODES if one != node]
    for other in others:
        cluster.nomad("node", "eligibility", "-disable", other)
    try:
        for one in cluster.ask(lambda client: client.job.get_allocations("webhook")):
            if one["NodeName"] != node.name and one["DesiredStatus"] == "run":
                cluster.nomad("alloc", "stop", "-detach", one["ID"])
        wait_for(
            lambda: [one.node for one in cluster.passing()] == [node.name] * number,
            f"all allocations on {node.name}",
            60,
            0.5,
        )
    finally:
        for other in others:
            cluster.nomad("node", "eligibility", "-enable", other)


def judge(cluster: Cluster, doors: Doors, say: Say, what: str) -> Seen:
    """Nothing lost, every count exact; what clients saw."""
    outcomes = doors.all_outcomes()
    settled_counts(cluster.everywhere(), STORE)
    say(f"{what}: errors {doors.errors}")
    say(f"{what}: {judged(outcomes, of_its_runs(outcomes, stored_ids(STORE)), Bounds(1, 0))}")
    return doors.seen({node.name for node in NODES if node != NODE})


def test_parts_of_a_node_are_restarted_and_allocations_are_spread_again(
    cluster: Cluster, tmp_path: Path, say: Say, pytestconfig: pytest.Config
) -> None:
    """All allocations are on its node at first, as they are after other nodes were away."""
    parts = PARTS + AT_LENGTH if pytestconfig.getoption("--long") else PARTS
    cluster.scale(3)
    gather_on(cluster, NODE)
    for part in parts:
        (tmp_path / part).mkdir()
        with Doors(tmp_path / part, keep_alive=False, rate=RATE) as doors:
            doors.mark()
            cluster.command("restart", NODE.name, part)
        seen = judge(cluster, doors, say, f"restart of {part}")
        assert seen.recovered_seconds == 0, (part, seen)
        assert set(doors.errors) <= (REFUSED if part == "fabio" else set()), (part, seen)
    assert allocations_by_node()[NODE.name] == 3
    with Doors(tmp_path, keep_alive=False, rate=RATE) as doors:
        doors.mark()
        cluster.command("spread")
    judge(cluster, doors, say, "spread again")
    assert not doors.errors
    assert set(allocations_by_node().values()) == {1}
