"""From a need to allocations, nodes, disk and memory. Pure arithmetic.

Every node carries a part of everything: Cassandra, Fabio, allocations, the agents. It is sized for
the moment after one node has died: the others then carry the peak with no core busier than `busy`.
Events are spread evenly over nodes, as the ring's tokens, Fabio's choice and Nomad's `spread` do.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from capacity.constants import Constants, Costs

REPLICAS = 3
DAY_SECONDS = 86_400
LEAST_ALLOCATIONS = 2

# What is set aside on a node, in MB.
RESERVED_MB = 1536
"""For Cassandra, Consul, Nomad and the system: nomad/nomad.hcl."""
FABIO_MB = 512
"""In a burst: nomad/fabio.nomad."""
ALLOCATION_MB = 160
"""nomad/webhook.nomad."""


class Connections(StrEnum):
    """How events come."""

    NEW = "new"
    """A connection for each, as TGIBF's bursts."""
    KEPT_ALIVE = "kept-alive"


@dataclass(frozen=True, slots=True)
class Need:
    """What there is to carry, and on what kind of node."""

    events_per_second: float
    """On average, day and night: it fills the disks."""
    peak_factor: float
    """How many times as many come at the peak, which the cores have to bear."""
    retention_days: float
    connections: Connections
    cores: int
    """Of a node."""
    disk_gb: float
    """Of a node, for Cassandra, in 10^9 bytes."""
    busy: float
    """Up to what part a core may be busy at the peak, with one node dead. A choice."""
    filled: float
    """How full a disk may be; compaction writes a new file beside the old ones."""

    @property
    def peak(self) -> float:
        return self.events_per_second * self.peak_factor


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a need takes."""

    allocations: int
    allocation_events_per_second: float
    """What one allocation may take."""
    cores_used: float
    """At the peak, on all nodes."""
    nodes_for_cpu: int
    nodes_for_disk: int
    disk_bytes_a_day: float
    """On all nodes, replicas included."""
    disk_bytes: float
    """On all nodes, at the end of the retention."""
    memory_mb: int
    """Per node, with the allocations of a dead one."""

    @property
    def nodes(self) -> int:
        return max(self.nodes_for_cpu, self.nodes_for_disk)

    @property
    def first_limit(self) -> str:
        """What decides on the number of nodes."""
        if self.nodes == REPLICAS:
            return "none: three nodes, as many as there are replicas, are enough"
        return "CPU" if self.nodes_for_cpu >= self.nodes_for_disk else "disk"


def size(need: Need, constants: Constants) -> Sizing:
    """The smallest size that carries the need."""
    costs = costs_of(need.connections, constants)
    cores_used = need.peak * costs.all / 1e6
    a_day = need.events_per_second * DAY_SECONDS * constants.disk_bytes * REPLICAS
    on_disk = a_day * need.retention_days
    nodes_for_cpu = max(REPLICAS, ceil(cores_used / (need.cores * need.busy)) + 1)
    nodes_for_disk = max(REPLICAS, ceil(on_disk / (need.disk_gb * 1e9 * need.filled)))
    nodes = max(nodes_for_cpu, nodes_for_disk)
    each_takes = need.busy * 1e6 / costs.webhook  # it is a single thread
    allocations = max(LEAST_ALLOCATIONS, _with_one_node_dead(need.peak / each_takes, nodes))
    most_on_a_node = ceil(allocations / (nodes - 1))
    return Sizing(
        allocations=allocations,
        allocation_events_per_second=each_takes,
        cores_used=cores_used,
        nodes_for_cpu=nodes_for_cpu,
        nodes_for_disk=nodes_for_disk,
        disk_bytes_a_day=a_day,
        disk_bytes=on_disk,
        memory_mb=RESERVED_MB + FABIO_MB + most_on_a_node * ALLOCATION_MB,
    )


def costs_of(connections: Connections, constants: Constants) -> Costs:
    """What an event costs on such a connection."""
    return constants.new if connections is Connections.NEW else constants.kept_alive


def _with_one_node_dead(needed: float, nodes: int) -> int:
    """The number of allocations of which `needed` are left when the node with most of them dies.

    Nomad places those of a dead node elsewhere, but not at once.
    """
    return -(-ceil(needed) * nodes // (nodes - 1))  # exact, whatever the size
