"""What is wrong with the cluster, in words: each part's statements compared with the others'."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from typing import Any

import requests

from cluster.access.secrets import Secrets
from cluster.autoscaling.view import Autoscaler, autoscaler_at
from cluster.copies import Copies, copies_at
from cluster.deployments import Deployment, latest
from cluster.health import ASK_SECONDS, Health, ask_nomad
from cluster.layout import AUTOSCALER, NEEDED, NODES, SCALING, VIEW_PORT, WEBHOOK, Node
from cluster.ring.schema import PROMISED_COPIES
from cluster.room import Room, room_for_webhook
from cluster.spreading import uneven

JOBS = (*(part.name for part in NEEDED), WEBHOOK)
UNSIZED = "the count stays as it is"
SOON_DAYS = 30
ENDING = "the agents' certificates end"
LEFT = "of a rotation that was cut off"
UNEVEN = "scripts/cluster spread"


@dataclass(frozen=True, slots=True)
class Placed:
    """An allocation of the webhook that Nomad says runs."""

    node: str
    address: str


@dataclass(slots=True)
class Facts:
    """What the parts say, apart from `Health`. What nobody could answer is missing."""

    views: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By node: what its routes program sees (cluster/routing)."""
    copies: dict[str, Copies] = field(default_factory=dict)
    """By node: what its Cassandra reaches."""
    jobs: dict[str, str] = field(default_factory=dict)
    """The status of each job that is not stopped."""
    count: int = 0
    """How many allocations of the webhook there should be."""
    placed: list[Placed] = field(default_factory=list)
    room: Room | None = None
    """For allocations of the webhook."""
    deployment: Deployment | None = None
    """What Nomad does about the last change of the webhook's job."""
    autoscaler: Autoscaler | None = None
    """What the autoscaler says, if one runs."""
    days_left: float = inf
    """Until the first certificate of an agent ends; `scripts/cluster status` looks."""
    left: dict[str, str] = field(default_factory=dict)
    """By what a rotation has left: its word for `rotate`. `scripts/cluster status` looks."""
    drained: dict[str, str] = field(default_factory=dict)
    """The nodes that take no allocations, and why."""


def gather(running: Iterable[str]) -> Facts:
    """Ask all parts, those of each node at the same time."""
    facts = Facts()
    nodes = [node for node in NODES if node.name in set(running)]
    secrets = Secrets.read()
    login = secrets.manager_login if secrets else None
    with ThreadPoolExecutor(2 * len(NODES)) as pool:
        views = pool.map(_view, nodes)
        copies = pool.map(lambda node: copies_at(node, login=login), nodes)
        scaled_from = ask_nomad(lambda client: _ask(client, facts))
        for node in nodes:
            if node.name == scaled_from:
                facts.autoscaler = autoscaler_at(node)
        facts.views = {n.name: one for n, one in zip(nodes, views, strict=True) if one is not None}
        facts.copies = {
            n.name: one for n, one in zip(nodes, copies, strict=True) if one is not None
        }
    return facts


def findings(health: Health, facts: Facts, running: Iterable[str]) -> list[str]:
    """What is wrong, the cause before the consequence if that is known."""
    return [
        *_down(running),
        *_drained(facts),
        *_stopped(facts),
        *_parted(facts, set(running)),
        *_copies(facts, set(running)),
        *_stale(health, facts),
        *_missing(facts),
        *_given_up(facts),
        *_not_scaled(facts),
        *_uneven(facts),
        *_ending(facts),
        *_left(facts),
    ]


def urgent(found: Iterable[str]) -> list[str]:
    """The findings that are faults: neither matters of taste, nor such that all goes on."""
    notes = (UNEVEN, UNSIZED, ENDING, LEFT)
    return [line for line in found if not any(words in line for words in notes)]


def _ending(facts: Facts) -> Iterator[str]:
    if facts.days_left < SOON_DAYS:
        yield f"{ENDING} in {facts.days_left:.0f} days: scripts/cluster rotate certificates"


def _left(facts: Facts) -> Iterator[str]:
    for what, word in facts.left.items():
        yield f"{what} {LEFT}: scripts/cluster rotate {word}"


def _down(running: Iterable[str]) -> Iterator[str]:
    for name in sorted({node.name for node in NODES} - set(running)):
        yield f"{name} does not run: scripts/cluster start {name}"


def _drained(facts: Facts) -> Iterator[str]:
    for name, why in sorted(facts.drained.items()):
        yield f"{name} takes no allocations ({why})"


def _stopped(facts: Facts) -> Iterator[str]:
    if not facts.jobs:
        yield "no Nomad says which jobs there are"
        return
    for name in JOBS:
        if name not in facts.jobs:
            yield f"the job {name} does not run: scripts/cluster run {name}"


def _parted(facts: Facts, running: set[str]) -> Iterator[str]:
    for name in sorted(running - {*facts.views, *facts.drained}):
        yield f"{name} does not say whom it reaches: nothing answers at its port {VIEW_PORT}"
    pairs = {
        tuple(sorted((name, other)))
        for name, view in facts.views.items()
        for other, answers in view["nodes"].items()
        if not answers and other in running
    }
    for one, other in sorted(pairs):
        yield f"{one} and {other} don't reach each other"


def _copies(facts: Facts, running: set[str]) -> Iterator[str]:
    promised = min((copies.promised for copies in facts.copies.values()), default=PROMISED_COPIES)
    if promised < PROMISED_COPIES:
        yield (
            f"events have {promised} copies and not {PROMISED_COPIES}, so that the loss of a node "
            "can lose some: scripts/cassandra schema"
        )
    for name, copies in sorted(facts.copies.items()):
        if copies.reached < copies.promised and len(running) == len(NODES):
            yield f"{name}'s Cassandra reaches {copies.reached} of {copies.promised} copies"
    for name in sorted(running - set(facts.copies)):
        yield f"{name}'s Cassandra does not answer, or has no schema"


def _stale(health: Health, facts: Facts) -> Iterator[str]:
    """Consul against Nomad, and against what listens."""
    placed = {one.address for one in facts.placed}
    listed = health.services.get(WEBHOOK, [])
    known = {one.address for one in listed}
    for one in listed:
        if facts.jobs and one.address not in placed:
            yield f"Consul lists a webhook at {one.address} on {one.node}, which Nomad does not run"
    for instance in facts.placed:
        if listed and instance.address not in known:
            yield (
                f"Nomad runs a webhook at {instance.address} on {instance.node}, which Consul "
                "does not list"
            )
    probes: dict[str, set[str | None]] = {}
    for view in facts.views.values():
        for one in view["instances"]:
            probes.setdefault(f"{one['address']} on {one['node']}", set()).add(one["probe"])
    for name, answers in sorted(probes.items()):
        if "ready" not in answers:
            said = ", ".join(sorted(answer or "not asked yet" for answer in answers))
            yield f"no node gets a yes from the webhook at {name}: {said}"


def _missing(facts: Facts) -> Iterator[str]:
    if WEBHOOK in facts.jobs and len(facts.placed) != facts.count:
        room = facts.room
        short = room is not None and facts.count > room.fits
        reason = f": there is no room for more, {room.words()}" if room and short else ""
        yield f"{len(facts.placed)} allocations of the webhook run, of {facts.count}{reason}"


def _given_up(facts: Facts) -> Iterator[str]:
    """What Nomad won't get out of by itself (cluster/deployments.py)."""
    last, room = facts.deployment, facts.room
    if WEBHOOK not in facts.jobs or last is None or room is None:
        return
    advice = f"scripts/cluster scale {max(1, min(facts.count, room.fits))}"
    if last.failed:
        yield (
            f"Nomad gave up the last change of the webhook ({last.why}): until the next one it "
            f"places nothing, neither what is missing nor another for one that fails: {advice}"
        )
    if last.waits_for_ever(time.time()):
        yield (
            "a new version of the webhook has no room for its first allocation, which comes beside "
            f"those that run, and would wait for ever: {advice} ends that"
        )


def sized_by_itself() -> bool:
    """Whether the autoscaler would undo what somebody does to the count by hand."""

    def question(client: Any) -> bool:
        found = client.jobs.get_jobs(prefix=AUTOSCALER)
        return any(one["ID"] == AUTOSCALER and not one["Stop"] for one in found)

    return bool(ask_nomad(question))


def _not_scaled(facts: Facts) -> Iterator[str]:
    """What sizes the webhook, where it is there at all."""
    here = [part.name for part in SCALING if part.name in facts.jobs]
    for part in SCALING:
        if here and part.name not in here:
            yield (
                f"the job {part.name} does not run, so {UNSIZED}: scripts/cluster run {part.name}"
            )
    if len(here) == len(SCALING) and not (facts.autoscaler and facts.autoscaler.evaluates):
        said = facts.autoscaler.words() if facts.autoscaler else "the autoscaler does not answer"
        yield f"{said}, so {UNSIZED}: docs/rightsizing.md"


def _uneven(facts: Facts) -> Iterator[str]:
    numbers = Counter({node.name: 0 for node in NODES if node.name not in facts.drained})
    numbers.update(one.node for one in facts.placed)
    if pair := uneven(numbers):
        most, fewest = pair
        yield (
            f"{most} has {numbers[most]} allocations of the webhook, {fewest} {numbers[fewest]}: "
            f"{UNEVEN}"
        )


def _view(node: Node) -> Mapping[str, Any] | None:
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{node.url(VIEW_PORT)}/view", timeout=ASK_SECONDS)
            answer.raise_for_status()
            view: Mapping[str, Any] = answer.json()
        except (requests.RequestException, ValueError):
            return None
        return view


def _ask(client: Any, facts: Facts) -> str:
    """Fill the facts; the node that the autoscaler runs on, empty if it runs nowhere."""
    jobs = {one["ID"]: one for one in client.jobs.get_jobs()}
    facts.jobs = {
        name: one["Status"]
        for name, one in jobs.items()
        if not one["Stop"] and one["Status"] != "dead"
    }
    if WEBHOOK in facts.jobs:
        facts.count = client.job.get_job(WEBHOOK)["TaskGroups"][0]["Count"]
        facts.room = room_for_webhook(client)
        facts.deployment = latest(client, WEBHOOK)
        for one in client.job.get_allocations(WEBHOOK):
            if (one["DesiredStatus"], one["ClientStatus"]) == ("run", "running"):
                facts.placed.append(Placed(one["NodeName"], _address(client, one["ID"])))
    for one in client.nodes.get_nodes():
        if one["Status"] == "ready" and one["Drain"]:
            facts.drained[one["Name"]] = (
                "it is drained; to end that: nomad node drain -disable NODE"
            )
        elif one["Status"] == "ready" and one["SchedulingEligibility"] != "eligible":
            facts.drained[one["Name"]] = "nomad node eligibility -enable NODE"
    if AUTOSCALER not in facts.jobs:
        return ""
    running = (
        one["NodeName"]
        for one in client.job.get_allocations(AUTOSCALER)
        if (one["DesiredStatus"], one["ClientStatus"]) == ("run", "running")
    )
    return next(running, "")


def _address(client: Any, allocation: str) -> str:
    """host:port of its port "http"."""
    found = client.allocation.get_allocation(allocation)
    for port in found["AllocatedResources"]["Shared"]["Ports"]:
        if port["Label"] == "http":
            return f"{port['HostIP']}:{port['Value']}"
    return ""
