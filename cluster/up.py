"""Starts what does not run yet, until every part of the cluster is well."""

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.request import urlopen

from cluster import jobs
from cluster.access import settings
from cluster.access.grants import grant
from cluster.access.secrets import KEPT, Secrets
from cluster.display import Display, lines
from cluster.findings import findings, gather, urgent
from cluster.health import Health, look
from cluster.kit import fill
from cluster.layout import (
    NODES,
    PARTS,
    SHOWN,
    STARTED,
    STATE,
    TRAFFIC_PORT,
    WEBHOOK,
    ClusterError,
)
from cluster.nodes.kind import NAMES, NodeKind
from cluster.nodes.namespaces import (
    KIT,
    NAMESPACES,
    refuse_memory,
    refuse_taken_network,
    running_nodes,
    start,
)
from cluster.ring.schema import UNANSWERED
from cluster.scaling import place_again_if_given_up
from tools.root import ROOT
from tools.say import say


def up(*, closed: bool | None = None) -> None:
    """Start what does not run, and return when all of it is well. Raises ClusterError.

    Whether the cluster is closed stays as it was, unless it is said; a new one is.
    """
    refuse_memory(STATE)
    refuse_taken_network()
    say("putting together what nodes need")
    fill(KIT, platform.machine(), jobs.node_python())
    runs = bool(running_nodes())
    is_closed = settings.choose(KEPT, wanted=closed, runs=runs)
    if not is_closed:
        say("OPEN: whoever reaches the nodes' network may run programs on them, and change all")
    display = Display()
    say(f"starting {', '.join(node.name for node in NODES)}")
    for node in NODES:
        start(node)
    run_jobs(NAMESPACES, display)
    say(f"up, after {display.seconds:.0f} s")
    print(addresses())


def run_jobs(kind: NodeKind, display: Display) -> None:
    """From started nodes to a webhook that takes events. Raises ClusterError."""
    rules = grant(Secrets.read())
    _wait(kind, display, servers_are_well, "Consul, Nomad and Cassandra", rules)
    say("applying the schema")
    _apply_schema(kind)
    for part in STARTED:
        jobs.submit(part.name)
    jobs.submit(WEBHOOK, *kind.webhook)
    _wait(
        kind,
        display,
        is_ready,
        "Fabio and the webhook",
        lambda: jobs.run_again_if_given_up(WEBHOOK, *kind.webhook),
    )
    place_again_if_given_up()
    _wait(kind, display, is_ready, "the webhook")


def _apply_schema(kind: NodeKind) -> None:
    """Apply it, again if a slow node did not answer in time: what is there already stays."""
    deadline = time.monotonic() + kind.within_seconds
    command = [sys.executable, str(ROOT / "node" / "bin" / "cassandra"), "schema"]
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != UNANSWERED or time.monotonic() > deadline:
            break
        say(f"again: {done.stderr.strip().removeprefix('error: ')}")
        time.sleep(1)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def _wait(
    kind: NodeKind,
    display: Display,
    well: Callable[[Health], bool],
    what: str,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    deadline = time.monotonic() + kind.within_seconds
    while True:
        health, running_now = look(), kind.running()
        display.show(lines(health, running_now))
        if well(health):
            return
        if gone := NAMES - running_now:
            raise ClusterError(f"{min(gone)} has ended; {kind.advice}")
        if time.monotonic() > deadline:
            within = f"{kind.within_seconds:.0f} s"
            raise ClusterError(f"{what}: not well within {within}; {kind.advice}")
        meanwhile()
        time.sleep(0.5)


def servers_are_well(health: Health) -> bool:
    """Whether every node's own parts are well, and both clusters have a leader."""
    own = [part for part in SHOWN if not part.started_by_up]
    return bool(health.consul_leader and health.nomad_leader) and all(
        health.well(part) == NAMES for part in own
    )


def traffic_is_taken(health: Health) -> bool:
    """Whether events are taken at every node's front door."""
    everywhere = [part for part in SHOWN if part.started_by_up]
    if any(health.well(part) != NAMES for part in everywhere) or not health.passing(WEBHOOK):
        return False
    return all(_answers(f"{node.url(TRAFFIC_PORT)}/ready") for node in NODES)


def all_is_well(health: Health, found: Iterable[str]) -> bool:
    """Whether every part is well, and no finding is a fault."""
    return not urgent(found) and servers_are_well(health) and traffic_is_taken(health)


def is_ready(health: Health) -> bool:
    """Whether events are taken, and a job can be scaled now."""
    return WEBHOOK not in health.deploying and traffic_is_taken(health)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def show_status() -> int:
    """Print what runs where; 0 if all of it is well."""
    health, running_now = look(), running_nodes()
    print("\n".join(lines(health, running_now)))
    for one in sorted(health.services.get(WEBHOOK, []), key=lambda one: one.address):
        print(f"webhook at {one.address} on {one.node}: {'ok' if one.passing else 'not ready'}")
    facts = gather(running_now)
    if facts.room is not None:
        wanted, run = facts.count, len(facts.placed)
        print(f"webhook: {wanted} wanted, {run} run, {facts.room.words()}")
    wrong = findings(health, facts, running_now)
    faults = urgent(wrong)
    for line in wrong:
        print(f"{'wrong' if line in faults else 'note'}: {line}")
    well = all_is_well(health, wrong)
    if well:
        print(addresses())
    return 0 if well else 1


def addresses() -> str:
    """Where to look."""
    node = NODES[0]
    lines = [f"webhook    {node.url(TRAFFIC_PORT)}/      (any node's address will do)"]
    lines += [
        f"{part.title + ' UI':<11}{node.url(part.port)}{part.ui}" for part in PARTS if part.ui
    ]
    return "\n".join(lines)
