"""Work on a running cluster; each operation ends when all is well again."""

import time
from collections.abc import Callable
from typing import Any

from consul.callback import CB

from cluster.access.secrets import Secrets
from cluster.display import Display, lines
from cluster.faults import fault
from cluster.findings import findings, gather
from cluster.health import ask, ask_nomad, consul_at, look, nomad_at
from cluster.jobs import nomad
from cluster.layout import STARTED, ClusterError, Node
from cluster.nodes import namespaces
from cluster.nodes.namespaces import running_nodes
from cluster.up import all_is_well
from tools.say import say

WITHIN_SECONDS = 300.0
LOOK_SECONDS = 1.0
NO_CONTACT = "never"
"""When a Consul server heard from who leads, before the first time."""
NO_REPORT = "0s"
"""How long a Nomad client's report holds, before its first one."""


def hurt(node: Node, name: str, seconds: float) -> None:
    """Hurt the node for so many seconds, heal it, and wait. Raises ClusterError."""
    one = fault(name)
    if reason := one.missing():
        raise ClusterError(reason)
    if one.prepare is not None:
        say(f"preparing {node.name} for it")
        one.prepare(node)
    try:
        if one.prepare is not None:
            await_well()
        say(f"{node.name}: {one.meaning}")
        one.begin(node)
        try:
            _hold(seconds)
        finally:
            say(f"healing {node.name}")
            one.end(node)
    finally:
        if one.clean_up is not None:
            one.clean_up(node)
    await_well()


def restart(node: Node, part: str) -> None:
    """Restart one of the node's parts, and wait. Raises ClusterError."""
    say(f"restarting {part} on {node.name}")
    if part in {one.name for one in STARTED}:
        nomad("alloc", "restart", "-task", part, _allocation(part, node))
    else:
        namespaces.restart(node, part)
        if part in {"consul", "nomad"}:
            _await_place(node, part)
    await_well()


def replace(node: Node) -> None:
    """Bring back a node whose disk was lost, with all data, and wait. Raises ClusterError."""
    say(f"{node.name} takes its place again; its Cassandra gets all data from the others")
    namespaces.take_place(node)
    await_well()


def await_well() -> None:
    """Show the cluster until nothing is wrong with it. Raises ClusterError."""
    display = Display()
    while True:
        health, running = look(), running_nodes()
        wrong = findings(health, gather(running), running)
        display.show([*lines(health, running), *(f"wrong: {line}" for line in wrong)])
        if all_is_well(health, wrong):
            say(f"all is well, after {display.seconds:.0f} s")
            return
        if display.seconds > WITHIN_SECONDS:
            raise ClusterError(f"not well within {WITHIN_SECONDS:.0f} s: {'; '.join(wrong)}")
        time.sleep(LOOK_SECONDS)


def _await_place(node: Node, part: str) -> None:
    """Return when the node's Consul or Nomad has its place among the others again.

    For the others it is there all the while: Nomad misses a client after 12 s. Who restarts the
    next one sooner ends the quorum, and with it the reports that keep allocations in place. Raises
    ClusterError.
    """
    has_place = {"consul": _consul_follows, "nomad": _nomad_has_reported}[part]
    deadline = time.monotonic() + WITHIN_SECONDS
    while not ask(has_place, [node]):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{node.name}'s {part} has not heard of a leader within {WITHIN_SECONDS:.0f} s; "
                f"its log is {node.directory}/log/{part}.log"
            )
        time.sleep(LOOK_SECONDS)


def _consul_follows(node: Node) -> bool:
    """Whether it leads, or hears from who does."""
    secrets = Secrets.read()
    with consul_at(node) as client:
        headers = client.prepare_headers(secrets.consul_manager if secrets else None)
        raft = client.http.get(CB.json(), "/v1/agent/self", headers=headers)["Stats"]["raft"]
    return bool(raft["state"] == "Leader" or raft["last_contact"] != NO_CONTACT)


def _nomad_has_reported(node: Node) -> bool:
    """Whether it knows who leads, and its client has reported that it is there."""
    with nomad_at(node) as client:
        found = client.agent.get_agent()["stats"]
    return bool(found["nomad"]["leader_addr"]) and found["client"]["heartbeat_ttl"] != NO_REPORT


def _hold(seconds: float, pause: Callable[[float], None] = time.sleep) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        say(f"for another {left:.0f} s; Ctrl-C heals it now")
        pause(min(left, 10))


def _allocation(part: str, node: Node) -> str:
    def question(client: Any) -> str | None:
        for one in client.job.get_allocations(part):
            if (one["NodeName"], one["ClientStatus"]) == (node.name, "running"):
                return str(one["ID"])
        return None

    found = ask_nomad(question)
    if found is None:
        raise ClusterError(f"no {part} runs on {node.name}")
    return found
