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
from cluster.access.certificates import days_left
from cluster.access.grants import grant, tokens_left
from cluster.access.passwords import roles_left
from cluster.access.secrets import GIVEN, KEPT, Secrets
from cluster.display import Display, lines
from cluster.findings import Facts, findings, gather, urgent
from cluster.health import Health, look
from cluster.kit import fill
from cluster.layout import (
    NEEDED,
    NODES,
    PARTS,
    SCALING,
    SHOWN,
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

ANSWER_SECONDS = 8.0  # as Consul's checks of a node have: on an emulated machine 2 are common


def up(*, closed: bool | None = None, autoscaling: bool = True) -> None:
    """Start what does not run, and return when all of it is well. Raises ClusterError.

    Whether the cluster is closed stays as it was, unless it is said; a new one is.
    Without `autoscaling` nothing but people changes the count: what would is stopped if it runs.
    """
    refuse_memory(STATE)
    refuse_taken_network()
    say("putting together what nodes need")
    fill(KIT, platform.machine(), jobs.node_python())
    runs = bool(running_nodes())
    settings.choose(KEPT, wanted=closed, runs=runs)
    display = Display()
    say(f"starting {', '.join(node.name for node in NODES)}")
    for node in NODES:
        start(node)
    run_jobs(NAMESPACES, display, autoscaling=autoscaling)
    say(f"up, after {display.seconds:.0f} s")
    print(addresses(look()))


def run_jobs(kind: NodeKind, display: Display, *, autoscaling: bool | None = None) -> None:
    """From started nodes to a webhook that takes events. Raises ClusterError.

    Who sizes it, people or the autoscaler, stays as it is unless that is said.
    """
    rules = grant(Secrets.read())
    _wait(kind, display, servers_are_well, "Consul, Nomad and Cassandra", rules)
    say("applying the schema")
    _apply_schema(kind)
    for part in NEEDED:
        jobs.submit(part.name)
    for part in SCALING if autoscaling is not None else ():
        # Before the webhook: side by side they leave more room for it.
        _submit_or_say(part.name) if autoscaling else jobs.stop(part.name)
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


def _submit_or_say(name: str) -> None:
    """Run what events can do without."""
    try:
        jobs.submit(name)
    except ClusterError as error:
        say(f"the number of allocations will not follow the load: {error}")


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
        with urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - an address of ours
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
    certified = [name for name in settings.AGENTS if (GIVEN / name / "agent.pem").exists()]
    if certified:
        facts.days_left = min(days_left(GIVEN / name, time.time()) for name in certified)
    if secrets := Secrets.read():
        facts.left = dict.fromkeys(tokens_left(secrets), "tokens")
        facts.left |= {f"Cassandra has the role {name}": "passwords" for name in roles_left()}
    if facts.room is not None:
        print(sizing(facts))
    wrong = findings(health, facts, running_now)
    faults = urgent(wrong)
    for line in wrong:
        print(f"{'wrong' if line in faults else 'note'}: {line}")
    well = all_is_well(health, wrong)
    if well:
        print(addresses(health))
    return 0 if well else 1


def sizing(facts: Facts) -> str:
    """How many allocations are wanted, and what became of it.

    Such as `webhook: wanted 4, desired 4, running 4, room 6 (...); autoscaler evaluates`.
    """
    one = facts.autoscaler
    wanted = "" if one is None or one.wanted is None else f"wanted {one.wanted}, "
    room = f", room {facts.room.fits} ({facts.room.where()})" if facts.room else ""
    run = f"{wanted}desired {facts.count}, running {len(facts.placed)}{room}"
    return f"webhook: {run}; {'no autoscaler' if one is None else one.words()}"


def addresses(health: Health) -> str:
    """Where to look."""
    node = NODES[0]
    lines = [f"webhook       {node.url(TRAFFIC_PORT)}/      (any node's address will do)"]
    for part in PARTS:
        at = node.url(part.port)
        if not part.shown:  # on one node, if at all
            at = next((f"http://{one.address}" for one in health.passing(part.name)), "")
        if part.ui and at:
            lines.append(f"{part.title + ' UI':<14}{at}{part.ui}")
    return "\n".join(lines)
