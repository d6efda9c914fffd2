"""How many allocations have to be there before a burst, and on how many nodes. Pure arithmetic.

No count can follow a burst of a second or two, so the calendar has a floor (docs/rightsizing.md).
It is what prometheus/rules/webhook.yml would want after the burst.
"""

from dataclasses import dataclass
from math import ceil

from capacity.constants import Constants
from capacity.sizing import ALLOCATION_MB, REPLICAS, RESERVED_MB, Connections, costs_of

# As in prometheus/rules/webhook.yml.
BURST_SECONDS = 2
"""The burst is taken within this time."""
RESERVE = 1.25
"""It may be so many times as large as it is expected to be."""
QUEUE_PART, MEAN_PART = 0.6, 0.6
"""Of the room for held events, and of what an allocation takes."""
HELD_EVENTS = 20_000
"""nomad/webhook.nomad."""
MOST_ALLOCATIONS = 12
"""`max` of `scaling` in nomad/webhook.nomad."""
FABIO_PLACED_MB = 160
"""Of Fabio without bursts, and of its routes: Nomad places by `memory` in nomad/fabio.nomad."""
SCALING_MB = 192
"""Prometheus, the autoscaler and its gate, all of them on one node."""
FABIO_CONNECTIONS = 10_000
"""At once, per node: 300 MB and more (docs/capacity.md)."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What is expected, and on what kind of node."""

    events: int
    """At once."""
    every_seconds: float
    """How often such a burst comes; infinite for one alone."""
    connections: Connections
    cores: int
    """Of a node."""
    memory_mb: int
    """Of a node."""
    busy: float
    """Up to what part a core may be busy."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What a burst takes."""

    each_takes: float
    """Events/s of one allocation."""
    for_burst: int
    """Allocations that take it in time."""
    for_queue: int
    """Allocations that hold it."""
    for_mean: int
    """Allocations that take burst after burst."""
    cores_used: float
    """While it is taken, on all nodes."""
    room: int
    """Allocations per node."""
    lost_room: int
    """How many fewer where Prometheus and the autoscaler are."""
    nodes_for_memory: int
    nodes_for_cpu: int
    nodes_for_connections: int

    @property
    def allocations(self) -> int:
        """The floor: one more than are needed, so that one may be missing."""
        return max(self.for_burst, self.for_queue, self.for_mean) + 1

    @property
    def nodes(self) -> int:
        return max(REPLICAS, self.nodes_for_memory, self.nodes_for_cpu, self.nodes_for_connections)

    @property
    def fits(self) -> int:
        """How many there can be on these nodes."""
        return self.nodes * self.room - self.lost_room


class FloorError(ValueError):
    """No number of such nodes is enough; the message says why."""


def floor_for(burst: Burst, constants: Constants) -> Floor:
    """The floor of the calendar, and the nodes. Raises FloorError."""
    costs = costs_of(burst.connections, constants)
    each = burst.busy * 1e6 / costs.webhook
    for_burst = ceil(burst.events * RESERVE / (BURST_SECONDS * each))
    for_queue = ceil(burst.events / (QUEUE_PART * HELD_EVENTS))
    for_mean = ceil(burst.events / burst.every_seconds / (MEAN_PART * each))
    wanted = max(for_burst, for_queue, for_mean) + 1
    room = room_of(burst.memory_mb)
    if not room:
        least = RESERVED_MB + FABIO_PLACED_MB + ALLOCATION_MB
        raise FloorError(f"a node of {burst.memory_mb:,} MB has no room; {least:,} MB is the least")
    lost = room - room_of(burst.memory_mb - SCALING_MB)
    seconds = min(float(BURST_SECONDS), burst.every_seconds)
    cores = burst.events * costs.all / 1e6 / seconds
    new = burst.connections is Connections.NEW
    return Floor(
        each_takes=each,
        for_burst=for_burst,
        for_queue=for_queue,
        for_mean=for_mean,
        cores_used=cores,
        room=room,
        lost_room=lost,
        nodes_for_memory=ceil((wanted + lost) / room),
        nodes_for_cpu=ceil(cores / (burst.cores * burst.busy)),
        nodes_for_connections=ceil(burst.events / FABIO_CONNECTIONS) if new else 1,
    )


def room_of(memory_mb: int) -> int:
    """Allocations on a node of so much memory, beside what every node has."""
    return max(0, memory_mb - RESERVED_MB - FABIO_PLACED_MB) // ALLOCATION_MB
