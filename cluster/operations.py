"""Work on a running cluster; each operation ends when all is well again."""

import time
from collections.abc import Callable
from typing import Any

from cluster.display import Display, lines
from cluster.faults import fault
from cluster.findings import findings, gather
from cluster.health import ask, ask_nomad, look, nomad_at
from cluster.jobs import nomad
from cluster.layout import STARTED, ClusterError, Node
from cluster.nodes import namespaces
from cluster.nodes.namespaces import running_nodes
from cluster.up import all_is_well
from tools.say import say

WITHIN_SECONDS = 300.0
LOOK_SECONDS = 1.0
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
        if part == "nomad":
            _await_report(node)
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


def _await_report(node: Node) -> None:
    """Return when the node's Nomad knows a leader and has reported to it. Raises ClusterError.

    For the others it is there all the while: they miss a client after 12 s. Whoever restarted the
    next one sooner would end the quorum, and with it the reports that keep allocations in place.
    """

    def has_reported(_: Node) -> bool:
        with nomad_at(node) as client:
            found = client.agent.get_agent()["stats"]
        return bool(found["nomad"]["leader_addr"]) and found["client"]["heartbeat_ttl"] != NO_REPORT

    deadline = time.monotonic() + WITHIN_SECONDS
    while not ask(has_reported, [node]):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{node.name}'s Nomad has not reported to a leader within {WITHIN_SECONDS:.0f} s; "
                f"its log is {node.directory}/log/nomad.log"
            )
        time.sleep(LOOK_SECONDS)


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
