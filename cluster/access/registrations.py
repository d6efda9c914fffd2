"""Another token by which Nomad registers its allocations in Consul, in a closed cluster that runs.

Nomad reads its token when it starts. Consul goes on with the token by which a service was
registered: without it the health of the service would stay what it is. And Nomad registers one anew
only if Consul has it otherwise than Nomad wants it (command/agent/consul: `different`). So:

1. Consul gets a further token, which Nomad's file has for the next start.
2. Each Nomad is restarted, one after the other. Allocations keep running.
3. Each service of Nomad's is registered with a mark. Nomad takes it away within half a minute, by
   registering the service and its checks by its new token. What is known of its health stays.
4. The former token ends.

Cut off anywhere, both tokens hold, and the next time makes a third and ends both.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from consul.callback import CB

from cluster.access.grants import end_others_for_nomad, other_token_for_nomad
from cluster.access.secrets import KEPT, Secrets
from cluster.access.settings import write
from cluster.health import ask, consul_at
from cluster.layout import NODES, ClusterError, Node
from cluster.nodes import namespaces
from cluster.operations import restart
from tools.say import say

NOMADS = "_nomad-"
"""What the ids of Nomad's services begin with."""
MARK = "registered-anew"
"""A key of a service's metadata; Nomad knows none of it."""
ANEW_SECONDS = 120.0  # Nomad compares every 30 s
LOOK_SECONDS = 1.0


def rotate_registrations() -> None:
    """Have Nomad's services in Consul by another token. Raises ClusterError.

    Also while a node is down: it would come back with services of the former token.
    """
    before = Secrets.needed()
    if down := [node.name for node in NODES if not namespaces.running(node.name)]:
        raise ClusterError(
            f"{down[0]} does not run, so Nomad's token for Consul is the former: "
            f"scripts/cluster start {down[0]}, then scripts/cluster rotate tokens"
        )
    new = other_token_for_nomad(before)
    say("another token by which Nomad registers services; each Nomad starts anew with it")
    write(new, KEPT / "node")
    for node in NODES:
        restart(node, "nomad")
    say("Nomad registers what runs anew, within half a minute")
    for node in NODES:
        _mark(node, new.consul_nomad)
    _await_anew(new.consul_nomad)
    end_others_for_nomad(new)


def marked(service: Mapping[str, Any]) -> dict[str, Any]:
    """The service, as an agent of Consul's has it, to be registered with a mark."""
    return {
        "ID": service["ID"],
        "Name": service["Service"],
        **{name: service[name] for name in ("Tags", "Address", "Port", "EnableTagOverride")},
        "Weights": service["Weights"],
        "Meta": {**service["Meta"], MARK: "wanted"},
    }


def _services(node: Node, token: str) -> list[Any]:
    """Nomad's, of which the node's agent knows. Raises ClusterError if it does not answer."""

    def at(one: Node) -> list[Any]:
        with consul_at(one) as client:
            headers = client.prepare_headers(token)
            found = client.http.get(CB.json(), "/v1/agent/services", headers=headers)
        return [service for name, service in found.items() if name.startswith(NOMADS)]

    if (services := ask(at, [node])) is None:
        raise ClusterError(
            f"{node.name}'s Consul does not answer; scripts/cluster status, and when it is well "
            "scripts/cluster rotate tokens"
        )
    return services


def _mark(node: Node, token: str) -> None:
    for service in _services(node, token):
        with consul_at(node) as client:
            headers = client.prepare_headers(token)
            path, document = "/v1/agent/service/register", json.dumps(marked(service))
            client.http.put(CB.boolean(), path, headers=headers, data=document)


def _await_anew(token: str) -> None:
    """Return when Nomad has taken every mark away. Raises ClusterError."""
    deadline = time.monotonic() + ANEW_SECONDS
    while True:
        left = [
            f"{service['Service']} on {node.name}"
            for node in NODES
            for service in _services(node, token)
            if MARK in service["Meta"]
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            raise ClusterError(
                f"Nomad has not registered {', '.join(left)} anew within {ANEW_SECONDS:.0f} s; "
                "when scripts/cluster status says that all is well: scripts/cluster rotate tokens"
            )
        time.sleep(LOOK_SECONDS)
