"""Who leads Nomad and Consul, and handing over either, for example before work on a node."""

import os
import subprocess

import requests

from cluster.access.secrets import Secrets
from cluster.health import ASK_SECONDS, ask
from cluster.jobs import nomad
from cluster.layout import CONSUL_PORT, ON_NODES, ClusterError, Node
from cluster.nodes.namespaces import inside

NOMAD_RAFT_PORT = 4647


def lead_nomad(node: Node) -> None:
    """Have the node's server lead Nomad. Raises ClusterError."""
    nomad(
        "operator", "raft", "transfer-leadership", f"-peer-address={node.address}:{NOMAD_RAFT_PORT}"
    )


def lead_consul(node: Node) -> None:
    """Have the node's server lead Consul. Raises ClusterError."""
    identity = ask(lambda one: _servers(one).get(node.name))
    if identity is None:
        raise ClusterError(f"no Consul that answers has {node.name} among its servers")
    command = ["operator", "raft", "transfer-leader", f"-id={identity}"]
    done = subprocess.run(
        inside(node, str(ON_NODES / "bin" / "consul"), *command),
        env={**os.environ, **_token("CONSUL_HTTP_TOKEN")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"consul {' '.join(command)}:\n{done.stdout}{done.stderr}")


def _servers(node: Node) -> dict[str, str]:
    """The servers' identities by the names of their nodes, as the node's agent knows them."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{node.url(CONSUL_PORT)}/v1/operator/raft/configuration"
        headers = _token("X-Consul-Token")
        answer = session.get(url, params={"stale": "1"}, headers=headers, timeout=ASK_SECONDS)
        answer.raise_for_status()
        return {one["Node"]: one["ID"] for one in answer.json()["Servers"]}


def _token(name: str) -> dict[str, str]:
    """Consul's token by this name; empty for an open cluster."""
    secrets = Secrets.read()
    return {} if secrets is None else {name: secrets.consul_operator}
