"""How many allocations of the webhook have room, by Nomad's own arithmetic.

A node has room for what its resources are, less what is reserved for others (`reserved` in
nomad/nomad.hcl), less what its allocations have been given: each has that to itself, used or not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.layout import WEBHOOK

ENDED = {"complete", "failed", "lost"}


@dataclass(frozen=True, slots=True)
class Resources:
    """What Nomad places by."""

    memory: int
    """MB"""
    cpu: int
    """MHz"""
    disk: int
    """MB"""

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(self.memory - other.memory, self.cpu - other.cpu, self.disk - other.disk)

    def times(self, need: "Resources") -> int:
        """How often `need` is in it."""
        pairs = ((self.memory, need.memory), (self.cpu, need.cpu), (self.disk, need.disk))
        return max(0, min((have // one for have, one in pairs if one), default=0))


@dataclass(frozen=True, slots=True)
class Room:
    """For allocations of the webhook."""

    need: Resources
    """Of one."""
    free: Mapping[str, Resources]
    """By node that takes allocations."""
    placed: Mapping[str, int]
    """How many there are, by node."""

    @property
    def by_node(self) -> dict[str, int]:
        """How many a node holds at most, those that are there among them."""
        more = {name: free.times(self.need) for name, free in self.free.items()}
        names = sorted({*more, *self.placed})
        return {name: self.placed.get(name, 0) + more.get(name, 0) for name in names}

    @property
    def fits(self) -> int:
        """How many there can be."""
        return sum(self.by_node.values())

    @property
    def more(self) -> int:
        """How many more than there are."""
        return self.fits - sum(self.placed.values())

    def words(self) -> str:
        """Such as `6 fit (node-1 2, node-2 2, node-3 2; each has 160 MB and 200 MHz to itself)`."""
        return f"{self.fits} fit ({self.where()})"

    def where(self) -> str:
        """How many on which node, and what one needs."""
        nodes = ", ".join(f"{name} {number}" for name, number in self.by_node.items())
        each = f"each has {self.need.memory} MB and {self.need.cpu} MHz to itself"
        return f"{nodes or 'no node takes any'}; {each}"


def room_for_webhook(client: Any) -> Room:
    """Ask a Nomad. For `cluster.health.ask_nomad`."""
    return room_of(
        client.nodes.get_nodes(resources=True),
        client.allocations.get_allocations(resources=True),
        client.job.get_job(WEBHOOK)["TaskGroups"][0],
    )


def room_of(
    nodes: Iterable[Mapping[str, Any]],
    allocations: Iterable[Mapping[str, Any]],
    group: Mapping[str, Any],
) -> Room:
    """From what Nomad's API has: nodes and allocations with their resources, the task group."""
    free = {
        one["Name"]: _whole(one["NodeResources"]) - _whole(one["ReservedResources"])
        for one in nodes
        if one["Status"] == "ready" and one["SchedulingEligibility"] == "eligible"
    }
    placed: Counter[str] = Counter()
    for one in allocations:
        # What is to stop will have stopped, and is no hindrance for longer than that takes.
        if one["DesiredStatus"] != "run" or one["ClientStatus"] in ENDED:
            continue
        placed[one["NodeName"]] += one["JobID"] == WEBHOOK
        if one["NodeName"] in free:
            free[one["NodeName"]] -= _given(one["AllocatedResources"])
    return Room(_needed(group), free, +placed)


def _whole(resources: Mapping[str, Any]) -> Resources:
    return Resources(
        resources["Memory"]["MemoryMB"],
        resources["Cpu"]["CpuShares"],
        resources["Disk"]["DiskMB"],
    )


def _given(resources: Mapping[str, Any]) -> Resources:
    tasks = resources["Tasks"].values()
    return Resources(
        sum(task["Memory"]["MemoryMB"] for task in tasks),
        sum(task["Cpu"]["CpuShares"] for task in tasks),
        resources["Shared"]["DiskMB"],
    )


def _needed(group: Mapping[str, Any]) -> Resources:
    tasks = [task["Resources"] for task in group["Tasks"]]
    return Resources(
        sum(task["MemoryMB"] for task in tasks),
        sum(task["CPU"] for task in tasks),
        group["EphemeralDisk"]["SizeMB"],
    )
