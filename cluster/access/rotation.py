"""New keys and certificates for a closed cluster that runs.

Each can be cut off anywhere and done again: what is new is known to all before it is used, and what
is old goes when nobody uses it.
"""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from consul.callback import CB

from cluster.access.certificates import renew
from cluster.access.grants import end_other_tokens, other_tokens
from cluster.access.secrets import KEPT, Secrets, new_key
from cluster.access.settings import AGENTS, write
from cluster.health import ask, ask_nomad, consul_at
from cluster.layout import NODES, ON_NODES, ClusterError, Node
from cluster.nodes import namespaces
from tools.say import say

PROGRAMS = ON_NODES / "node" / "bin"
GIVEN_THEIRS = ("consul", "cassandra")
"""Agents that are not root."""


def rotate_certificates() -> None:
    """Give all agents another certificate and key, by the authorities that there are.

    A node that is down has them when it starts. Raises ClusterError.
    """
    _secrets()
    for agent, name in AGENTS.items():
        say(f"another certificate for {agent}")
        renew(name, KEPT / "ca" / agent, KEPT / "node" / agent)
        _reload(agent)


def rotate_gossip() -> None:
    """Encrypt gossip with other keys. Raises ClusterError, also while a node is down.

    One that came back would know only the old keys.
    """
    before = _secrets()
    if down := [node.name for node in NODES if not namespaces.running(node.name)]:
        raise ClusterError(f"{down[0]} does not run: scripts/cluster start {down[0]}")
    new = replace(before, consul_gossip=new_key(), nomad_gossip=new_key())
    say("other keys for gossip")
    _both("install", new, before)
    write(new, KEPT / "node")
    _both("use", new, before)
    _both("remove", new, before)


def rotate_tokens() -> None:
    """Give everybody other tokens, and end the old ones. Raises ClusterError.

    Nomad keeps its own for Consul: a service goes on with the token that registered it, so that
    the end of that one would be the end of its health checks.
    """
    new = other_tokens(_secrets())
    say("other tokens for operators, managers and Consul's agents")
    write(new, KEPT / "node")
    _reload("consul")
    end_other_tokens(new)
    say('shells that have the old ones: eval "$(scripts/cluster env)"')


def _secrets() -> Secrets:
    found = Secrets.read()
    if found is None:
        raise ClusterError("the cluster is open: it has no keys; scripts/cluster up --closed")
    return found


def _reload(agent: str) -> None:
    """Have an agent read its files again, on every node that runs."""
    for node in NODES:
        if namespaces.running(node.name):
            machine = namespaces.machine(node)
            if agent in GIVEN_THEIRS:
                machine.must(str(PROGRAMS / "give-secrets"), agent)
            if agent == "cassandra":  # it looks at them each 10 minutes, or when it is told
                kept = f"XDG_CACHE_HOME={ON_NODES / 'cache'}"  # as in its unit file
                program = str(PROGRAMS / "cassandra")
                machine.must("env", kept, program, "nodetool", "reloadssl")
            else:
                pid = (node.directory / "log" / f"{agent}.pid").read_text()
                machine.must("kill", f"-{signal.SIGHUP.value}", pid)


def _both(action: str, new: Secrets, manager: Secrets) -> None:
    def consul(node: Node) -> bool:
        with consul_at(node) as client:
            _consul(client, action, new.consul_gossip, manager.consul_manager)
        return True

    def nomad(client: Any) -> bool:
        _nomad(client, action, new.nomad_gossip)
        return True

    for name, done in (("Consul", ask(consul)), ("Nomad", ask_nomad(nomad))):
        if not done:
            raise ClusterError(f"no {name} could {action} the key; do it again")


def _consul(client: Any, action: str, key: str, token: str) -> None:
    path, headers = "/v1/operator/keyring", client.prepare_headers(token)

    def send(verb: Callable[..., Any], one: str) -> None:
        verb(CB.boolean(), path, headers=headers, data=json.dumps({"Key": one}))

    if action == "remove":
        rings = client.http.get(CB.json(), path, headers=headers)
        for old in {one for ring in rings for one in ring["Keys"]} - {key}:
            send(client.http.delete, old)
    else:
        send(client.http.post if action == "install" else client.http.put, key)


def _nomad(client: Any, action: str, key: str) -> None:
    keys = {key}
    if action == "remove":
        found = client.agent.request("keyring", "list", method="get").json()
        keys = set(found["Keys"]) - {key}
    for one in keys:
        client.agent.request("keyring", action, json={"Key": one}, method="post")
