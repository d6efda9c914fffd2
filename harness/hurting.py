"""Hurt a node of a running cluster under load, heal it, and see what clients saw of it.

The phases are Jepsen's: load and fault, heal, wait for recovery, final read.
"""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.faults import Fault
from cluster.health import look
from cluster.layout import NODES, ClusterError
from cluster.leadership import lead_consul, lead_nomad
from cluster.spreading import spread
from harness.cluster import STORE, Cluster
from harness.doors import RATE, Doors, Seen
from harness.verification import Bounds, judged, of_its_runs, settled_counts
from harness.waiting import wait_for
from webhook.store.audit import stored_ids

ROLES = ("none", "nomad", "consul", "both")
"""What the node leads when it is hurt."""
VICTIM, OTHER = NODES[:2]
BEFORE_SECONDS = 2.0
AFTER_SECONDS = 3.0
HAND_OVER_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Case:
    """A way to hurt a node, what the node leads then, how long it lasts, and the clients."""

    fault: Fault
    role: str
    seconds: float
    keep_alive: bool = False
    one_client: bool = False
    """One that knows all doors, in place of one for each door."""

    def __str__(self) -> str:
        clients = "kept alive" if self.keep_alive else "a connection each"
        clients += ", one client" * self.one_client
        leads = {"none": "leads nothing", "both": "leads both"}.get(self.role, f"leads {self.role}")
        return f"{self.fault.name} for {self.seconds:g} s, {leads}, {clients}"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a case."""

    seen: Seen
    verdict: str
    healed_seconds: float
    """From the healing until every part of every node was well."""
    disturbed: frozenset[str]
    """Allocations of the nodes that were not hurt, and that were ended all the same."""


def run(
    cluster: Cluster, case: Case, folder: Path, allocations: int = 3, rate: int = RATE
) -> Report:
    """Carry out the case with `rate` events/s for each door.

    Asserts that nothing is lost, and every count exact.
    """
    cluster.scale(allocations)
    if case.fault.prepare is not None:
        case.fault.prepare(VICTIM)
        cluster.await_well()
    try:
        return _hurt(cluster, case, folder, rate)
    finally:
        if case.fault.clean_up is not None:
            case.fault.clean_up(VICTIM)
            cluster.await_well()


def _hurt(cluster: Cluster, case: Case, folder: Path, rate: int) -> Report:
    with suppress(ClusterError):  # Nomad may place one where it was
        spread()
    appoint(case.role)
    living = {node.name for node in NODES if node != VICTIM}
    before = allocations_on(cluster, living)
    clients = Doors(folder, keep_alive=case.keep_alive, one_client=case.one_client, rate=rate)
    with clients as doors:
        time.sleep(BEFORE_SECONDS)
        doors.mark()
        began = time.monotonic()
        case.fault.begin(VICTIM)
        time.sleep(max(0.0, began + case.seconds - time.monotonic()))
        case.fault.end(VICTIM)
        healing = time.monotonic()
        cluster.await_well()
        healed = time.monotonic() - healing
        time.sleep(AFTER_SECONDS)
        # Replacements end again when the node is back; Fabio's and the first ones stay.
        disturbed = before - allocations_on(cluster, living)
    seen = doors.seen(living)
    outcomes = doors.all_outcomes()
    settled_counts(cluster.everywhere(), STORE)
    bounds = Bounds(1, len(outcomes))
    verdict = judged(outcomes, of_its_runs(outcomes, stored_ids(STORE)), bounds)
    return Report(seen, verdict, healed, frozenset(disturbed))


def allocations_on(cluster: Cluster, nodes: Collection[str]) -> set[str]:
    """The allocations of Fabio and the webhook that run on these nodes, as node and id."""

    def question(client: Any) -> list[dict[str, Any]]:
        return [*client.job.get_allocations("webhook"), *client.job.get_allocations("fabio")]

    return {
        f"{one['JobID']} {one['ID'][:8]} on {one['NodeName']}"
        for one in cluster.ask(question)
        if one["NodeName"] in nodes
        and (one["DesiredStatus"], one["ClientStatus"]) == ("run", "running")
    }


def appoint(role: str) -> None:
    """Have the victim lead what `role` says, and nothing else."""
    nomads = VICTIM if role in {"nomad", "both"} else OTHER
    consuls = VICTIM if role in {"consul", "both"} else OTHER

    def handed_over() -> bool:
        """Asked again if a previous hand-over is still under way."""
        nomad, consul = cluster_leaders()
        with suppress(ClusterError):
            if nomad != nomads.name:
                lead_nomad(nomads)
            if consul != consuls.name:
                lead_consul(consuls)
        return cluster_leaders() == (nomads.name, consuls.name)

    wait_for(
        handed_over, f"Nomad led by {nomads.name}, Consul by {consuls.name}", HAND_OVER_SECONDS, 1
    )


def cluster_leaders() -> tuple[str, str]:
    """Who leads Nomad, and who Consul."""
    health = look(())
    return health.nomad_leader, health.consul_leader
