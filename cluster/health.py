"""The cluster's state, asked from any nodes that answer."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import consul
import nomad
import requests

from cluster.access.secrets import Secrets
from cluster.layout import CONSUL_PORT, NODES, NOMAD_PORT, PARTS, WEBHOOK, Node, Part

ASK_SECONDS = 2
SERVICES = (*(part.name for part in PARTS if part.name not in {"consul", "nomad"}), WEBHOOK)
"""All but those that Consul and Nomad know otherwise."""
DEPLOYING = {"initializing", "pending", "running", "unblocking"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a service, as Consul has it."""

    node: str
    address: str
    """host:port"""
    passing: bool
    """Whether all of its checks pass, its node's among them."""
    tags: frozenset[str]


@dataclass(slots=True)
class Health:
    """The state of all parts; what nobody could answer is missing."""

    members: set[str] = field(default_factory=set)
    """Nodes whose Consul agents are alive."""
    consul_leader: str = ""
    clients: set[str] = field(default_factory=set)
    """Nodes that Nomad may place allocations on."""
    nomad_leader: str = ""
    deploying: set[str] = field(default_factory=set)
    """Jobs with a deployment under way, for which Nomad refuses to scale them."""
    services: dict[str, list[Instance]] = field(default_factory=dict)

    def passing(self, service: str) -> list[Instance]:
        """The instances of a service that are well."""
        return [one for one in self.services.get(service, []) if one.passing]

    def well(self, part: Part) -> set[str]:
        """The nodes where the part is well."""
        known = {"consul": self.members, "nomad": self.clients}
        return known[part.name] if part.name in known else self.nodes_with(part.name)

    def nodes_with(self, service: str) -> set[str]:
        """The nodes where an instance of the service is well."""
        return {one.node for one in self.passing(service)}


def look(services: Iterable[str] = SERVICES) -> Health:
    """Ask Consul and Nomad. Takes a moment for each node that does not answer."""
    health = Health()
    ask(lambda node: _ask_consul(node, health, services))
    ask_nomad(lambda client: _ask_nomad(client, health))
    return health


def ask(question: Callable[[Node], T], nodes: Iterable[Node] = NODES) -> T | None:
    """The first node's answer; None if no node has one."""
    for node in nodes:
        try:
            return question(node)
        except (
            requests.RequestException,
            consul.ConsulException,
            nomad.api.exceptions.BaseNomadException,
        ):
            continue
    return None


@contextmanager
def consul_at(node: Node) -> Iterator[Any]:
    """A client for the node's Consul agent."""
    client = consul.Consul(host=node.address, port=CONSUL_PORT, connections_timeout=ASK_SECONDS)
    with client.http.session as session:
        session.trust_env = False  # no proxy is between this machine and its nodes
        yield client


@contextmanager
def nomad_at(node: Node, secrets: Callable[[], Secrets | None] = Secrets.read) -> Iterator[Any]:
    """A client for the node's Nomad agent; `secrets` has its token."""
    with requests.Session() as session:
        session.trust_env = False
        known = secrets()
        yield nomad.Nomad(
            address=node.url(NOMAD_PORT),
            token=known and known.nomad_manager,
            timeout=ASK_SECONDS,
            session=session,
        )


def ask_nomad(
    question: Callable[[Any], T], secrets: Callable[[], Secrets | None] = Secrets.read
) -> T | None:
    """What the first Nomad that answers says; None if none has an answer.

    Those of virtual machines know other `secrets` than those of nodes made of namespaces.
    """

    def at(node: Node) -> T:
        with nomad_at(node, secrets) as client:
            return question(client)

    return ask(at)


def nomad_leader() -> Node | None:
    """The node whose Nomad leads, and is there; else one whose Nomad answers; None if none does."""

    def names_it(node: Node) -> tuple[Node, str]:
        with nomad_at(node) as client:
            return node, _node_at(client.status.leader.get_leader())

    if (first := ask(names_it)) is None:
        return None
    found = ask(names_it, [node for node in NODES if node.name == first[1]])
    return (found or first)[0]


def _ask_consul(node: Node, health: Health, services: Iterable[str]) -> None:
    with consul_at(node) as client:
        leader = client.status.leader()
        if not leader:
            raise consul.ConsulException("no leader")
        health.consul_leader = _node_at(leader)
        alive = 1  # a member's status, as serf numbers it
        health.members = {one["Name"] for one in client.agent.members() if one["Status"] == alive}
        for service in services:
            _, entries = client.health.service(service)
            health.services[service] = [_instance(entry) for entry in entries]


def _instance(entry: dict[str, Any]) -> Instance:
    node, service = entry["Node"], entry["Service"]
    return Instance(
        node["Node"],
        f"{service['Address'] or node['Address']}:{service['Port']}",
        all(check["Status"] == "passing" for check in entry["Checks"]),
        frozenset(service["Tags"]),
    )


def _ask_nomad(client: Any, health: Health) -> None:
    health.nomad_leader = _node_at(client.status.leader.get_leader())
    health.clients = {
        one["Name"]
        for one in client.nodes.get_nodes()
        if one["Status"] == "ready" and one["SchedulingEligibility"] == "eligible"
    }
    health.deploying = {
        one["JobID"] for one in client.deployments.get_deployments() if one["Status"] in DEPLOYING
    }


def _node_at(address: str) -> str:
    """The name of the node at host:port."""
    host = address.rpartition(":")[0]
    return next((node.name for node in NODES if node.address == host), "")
