"""A node dies under load and comes back: nothing acknowledged is lost, every count is exact.

Each test goes through Jepsen's phases: load and fault, heal, wait for recovery, final read. The
load comes from outside of the nodes, in turns to the front doors of all, the dead one's among them:
what goes there is refused, and a client would try the next one.
"""

import time
from pathlib import Path

import pytest

from support.cluster.health import Health
from support.cluster.layout import NODES, Node
from tests.cluster.conftest import Say
from tests.cluster.load import PHASE, load
from tests.support.cluster import Cluster
from tests.support.verification import Bounds

ALLOCATIONS = 3  # one on each node
TIMEOUT_SECONDS = 5
UNKNOWN = 300 * 30  # at most so many events can be unknown: what 300/s bring in within 30 s


class Turns:
    """Every node once before any a second time, and those that lead while they do."""

    def __init__(self) -> None:
        self._left = [node.name for node in NODES]

    def take(self, health: Health) -> Node:
        """The next node."""
        first = len(self._left) == len(NODES)
        leaders = [health.nomad_leader, health.consul_leader]
        wanted = leaders if first else leaders[::-1]
        name = next((name for name in wanted if name in self._left), self._left[0])
        self._left.remove(name)
        if not self._left:
            self._left = [node.name for node in NODES]
        return next(node for node in NODES if node.name == name)


@pytest.fixture(scope="module")
def turns() -> Turns:
    return Turns()


@pytest.mark.long_rounds(3)
@pytest.mark.parametrize("turn", ["leads-nomad", "leads-consul", "other"])
def test_a_node_dies_and_comes_back(
    cluster: Cluster, turns: Turns, tmp_path: Path, turn: str, round_: int, say: Say
) -> None:
    cluster.scale(ALLOCATIONS)
    health = cluster.health()
    victim = turns.take(health)
    bounds = Bounds(4 * PHASE, UNKNOWN)
    with load(cluster, tmp_path / "ledger", bounds, "--timeout", f"{TIMEOUT_SECONDS}") as run:
        # 1. It dies, with everything on it.
        died = time.monotonic()
        cluster.kill(victim)
        cluster.await_doors(without=victim)
        served = time.monotonic() - died
        run.acknowledge()
        # 2. Its allocations are placed on the others.
        cluster.await_passing(ALLOCATIONS, without=victim)
        placed = time.monotonic() - died
        shown = cluster.command("status", code=1).stdout
        assert f"{victim.name}  {victim.address}  down" in shown
        run.acknowledge()
        # 3. It comes back, and finds the others by itself.
        began = time.monotonic()
        cluster.start(victim)
        cluster.await_well()
        joined = time.monotonic() - began
        run.acknowledge()
    cluster.command("status")
    say(
        f"{turn}, round {round_}: {victim.name} killed (Nomad is led by {health.nomad_leader}, "
        f"Consul by {health.consul_leader}): {run.verdict}; in service after {served:.1f} s, "
        f"{ALLOCATIONS} allocations after {placed:.1f} s; back in the cluster {joined:.1f} s after "
        f"its start; errors {run.summary['errors']}"
    )
