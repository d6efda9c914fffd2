"""Names, addresses, ports and folders of the cluster."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tools.root import ROOT

NETWORK = "192.168.57.0/24"
HOST_ADDRESS = "192.168.57.1/24"
HOST_INTERFACE = "teracompra1"
NODE_INTERFACE = "eth0"
POD_NETWORK = "10.197.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
API_PORT = 6443
TRAFFIC_PORT = 30080
"""The webhook's port on every node, as kubernetes/base has it."""
MOST_NODES = 9

STATE = ROOT / ".kubernetes"
"""All that a cluster keeps on this machine, its nodes' data among it."""
ON_NODES = Path("/mnt")
"""Where each node sees STATE."""
GROUP = f"teracompra-kubernetes-{hashlib.sha256(bytes(STATE)).hexdigest()[:8]}"
"""The control group of all pods."""
MANIFESTS = ROOT / "kubernetes"
NAMESPACE = "teracompra"


class LabError(Exception):
    """It can't be done; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """One of the nodes: node-1, which has the control plane, is 192.168.57.11."""

    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"192.168.57.{10 + self.number}"

    @property
    def pods(self) -> str:
        """The addresses of its pods."""
        return f"10.197.{self.number}.0/24"

    @property
    def directory(self) -> Path:
        """Its data and its logs, on this machine."""
        return STATE / self.name

    @property
    def has_control_plane(self) -> bool:
        return self.number == 1

    @property
    def group(self) -> str:
        """The control group of its pods."""
        return f"{GROUP}/{self.name}"


FIRST = Node(1)
API = f"https://{FIRST.address}:{API_PORT}"


def nodes() -> tuple[Node, ...]:
    """The nodes of the cluster, whether they run or not; none if there is no cluster."""
    try:
        count = int((STATE / "nodes").read_text())
    except FileNotFoundError:
        return ()
    return tuple(Node(number) for number in range(1, count + 1))


def keep_count(count: int) -> None:
    """Record how many nodes there are."""
    STATE.mkdir(exist_ok=True)
    (STATE / "nodes").write_text(f"{count}\n")


def named(name: str) -> Node:
    """The node of that name or number. Raises LabError."""
    for node in nodes():
        if name in {node.name, str(node.number)}:
            return node
    known = ", ".join(node.name for node in nodes()) or "none: scripts/kubernetes up"
    raise LabError(f"there is no {name}; nodes are {known}")
