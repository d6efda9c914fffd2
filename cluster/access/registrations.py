"""Has Nomad register its services in Consul anew, by the token that it has now.

Consul goes on with the token by which a service was registered: when that one ends, the health of
the service stays what it is. And Nomad registers a service anew only if Consul has it otherwise
than Nomad wants it (command/agent/consul: `different`). So each is registered with a mark. Nomad
takes it away within half a minute, by registering the service and its checks. What is known of its
health stays.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from consul.callback import CB

from cluster.health import ask, consul_at
from cluster.layout import NODES, ClusterError, Node

NOMADS = "_nomad-"
"""What the ids of Nomad's services begin with."""
MARK = "registered-anew"
"""A key of a service's metadata; Nomad knows none of it."""
ANEW_SECONDS = 120.0  # Nomad compares every 30 s
LOOK_SECONDS = 1.0


def register_anew(token: str) -> None:
    """Have Nomad do so on all nodes, which run; `token` is its own. Raises ClusterError."""
    for node in NODES:
        for service in _services(node, token):
            _register(node, token, marked(service))
    deadline = time.monotonic() + ANEW_SECONDS
    while left := _marked(token):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"Nomad has not registered {', '.join(left)} anew within {ANEW_SECONDS:.0f} s; "
                "when scripts/cluster status says that all is well: scripts/cluster rotate tokens"
            )
        time.sleep(LOOK_SECONDS)


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
        raise _silent(node)
    return services


def _register(node: Node, token: str, service: Mapping[str, Any]) -> None:
    def at(one: Node) -> bool:
        with consul_at(one) as client:
            path, headers = "/v1/agent/service/register", client.prepare_headers(token)
            client.http.put(CB.boolean(), path, headers=headers, data=json.dumps(service))
        return True

    if not ask(at, [node]):
        raise _silent(node)


def _marked(token: str) -> list[str]:
    """The services that still have their mark, in words. Raises ClusterError."""
    return [
        f"{service['Service']} on {node.name}"
        for node in NODES
        for service in _services(node, token)
        if MARK in service["Meta"]
    ]


def _silent(node: Node) -> ClusterError:
    return ClusterError(
        f"{node.name}'s Consul does not answer; scripts/cluster status, and when all is well "
        "scripts/cluster rotate tokens"
    )
