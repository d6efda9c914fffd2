"""Names, addresses, ports and folders of the cluster."""

from dataclasses import dataclass
from pathlib import Path

from tools.root import ROOT

NETWORK = "192.168.56.0/24"
HOST_ADDRESS = "192.168.56.1/24"
HOST_INTERFACE = "teracompra0"
NODE_INTERFACE = "eth1"

WEBHOOK = "webhook"
"""The service, and its job: what all the parts are there for."""
PROMETHEUS, AUTOSCALER = "prometheus", "autoscaler"
"""Services, and jobs: what sizes it."""

CONSUL_PORT = 8500
NOMAD_PORT = 4646
CQL_PORT = 9042
TRAFFIC_PORT = 9999
ROUTES_PORT = 9998
VIEW_PORT = 9997
"""What a node sees of the others (cluster/routing)."""
PROMETHEUS_PORT = 9090
AUTOSCALER_PORT = 9096
GATE_PORT = 9095
"""The autoscaler's way to Prometheus (cluster/autoscaling)."""

ON_NODES = Path("/opt/teracompra")
"""Where every node has the programs, configuration and releases."""

STATE = ROOT / ".cluster"
"""All that a cluster keeps on this machine, its nodes' data among it."""


class ClusterError(Exception):
    """It can't be done; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """One of the nodes: node-1 is 192.168.56.11."""

    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"192.168.56.{10 + self.number}"

    @property
    def directory(self) -> Path:
        """Its data and its logs, on this machine."""
        return STATE / self.name

    def url(self, port: int) -> str:
        return f"http://{self.address}:{port}"


NODES = tuple(Node(number) for number in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the cluster. A row is all that a further one needs, beside its job or unit file."""

    name: str
    """Of its service in Consul; of its job and the job's task, or of its unit."""
    title: str
    """As people write it."""
    port: int
    """Where it answers, on each node."""
    process: str
    """A piece of its processes' command lines."""
    program: str = ""
    """In `bin/` on every node, one of artifacts/binaries.py; empty if it is no single file."""
    started_by_up: bool = False
    """Whether it is a job of Nomad's, which `up` starts."""
    shown: bool = True
    """Whether every node has one: that is shown, waited for, and can be restarted."""
    ui: str = ""
    """The path of its user interface; empty if it has none."""


PARTS = (
    Part("consul", "Consul", CONSUL_PORT, "bin/consul", program="consul", ui="/ui/"),
    Part("nomad", "Nomad", NOMAD_PORT, "bin/nomad", program="nomad", ui="/ui/"),
    Part("cassandra", "Cassandra", CQL_PORT, "CassandraDaemon"),
    Part("fabio", "Fabio", ROUTES_PORT, "bin/fabio", "fabio", started_by_up=True, ui="/"),
    Part(
        PROMETHEUS,
        "Prometheus",
        PROMETHEUS_PORT,
        "bin/prometheus",
        "prometheus",
        started_by_up=True,
        shown=False,
        ui="/consoles/webhook.html",
    ),
    Part(
        AUTOSCALER,
        "Autoscaler",
        AUTOSCALER_PORT,
        "bin/nomad-autoscaler",
        "nomad-autoscaler",
        started_by_up=True,
        shown=False,
    ),
)
SHOWN = tuple(part for part in PARTS if part.shown)
STARTED = tuple(part for part in PARTS if part.started_by_up)
NEEDED = tuple(part for part in STARTED if part.shown)
SCALING = tuple(part for part in STARTED if not part.shown)
"""What sizes the webhook: a cluster can be without (docs/rightsizing.md)."""


def named(name: str) -> Node:
    """The node of that name or number. Raises ClusterError."""
    for node in NODES:
        if name in {node.name, str(node.number)}:
            return node
    raise ClusterError(f"there is no {name}; nodes are {', '.join(node.name for node in NODES)}")
