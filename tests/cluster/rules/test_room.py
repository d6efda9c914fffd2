"""How many allocations have room, from what Nomad's API says."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.room import Resources, Room, room_of
from cluster.scaling import too_many

NEED = Resources(memory=160, cpu=200, disk=300)
GROUP = {
    "EphemeralDisk": {"SizeMB": 300},
    "Tasks": [{"Resources": {"MemoryMB": 160, "CPU": 200, "MemoryMaxMB": 0}}],
}


def resources(memory: int, cpu: int, disk: int) -> dict[str, Any]:
    return {"Memory": {"MemoryMB": memory}, "Cpu": {"CpuShares": cpu}, "Disk": {"DiskMB": disk}}


def node(name: str, memory: int = 2048, cpu: int = 5000, **more: str) -> dict[str, Any]:
    """One of 2 GB; 1,536 MB and 100 MHz are reserved."""
    return {
        "Name": name,
        "Status": "ready",
        "SchedulingEligibility": "eligible",
        "NodeResources": resources(memory, cpu, 50_000),
        "ReservedResources": resources(1536, 100, 0),
        **more,
    }


def allocation(
    job: str, name: str, memory: int = 160, status: str = "running", desired: str = "run"
) -> dict[str, Any]:
    task = {"Memory": {"MemoryMB": memory}, "Cpu": {"CpuShares": 200}}
    return {
        "JobID": job,
        "NodeName": name,
        "DesiredStatus": desired,
        "ClientStatus": status,
        "AllocatedResources": {"Tasks": {job: task}, "Shared": {"DiskMB": 300}},
    }


def test_two_webhooks_fit_beside_a_fabio_on_a_node_of_2_gb() -> None:
    names = ["node-1", "node-2", "node-3"]
    nodes = [node(name) for name in names]
    fabios = [allocation("fabio", name, memory=160) for name in names]
    webhooks = [allocation("webhook", name) for name in names]
    room = room_of(nodes, [*fabios, *webhooks], GROUP)
    assert room.by_node == dict.fromkeys(names, 2)
    assert (room.fits, room.more) == (6, 3)
    assert room.words() == (
        "6 fit (node-1 2, node-2 2, node-3 2; each has 160 MB and 200 MHz to itself)"
    )


def test_a_node_that_takes_nothing_has_what_it_has() -> None:
    nodes = [
        node("node-1", Status="down"),
        node("node-2", SchedulingEligibility="ineligible"),
        node("node-3"),
    ]
    room = room_of(nodes, [allocation("webhook", "node-2")], GROUP)
    assert room.by_node == {"node-2": 1, "node-3": 3}


def test_what_has_ended_or_is_to_stop_takes_no_room() -> None:
    gone = [
        allocation("webhook", "node-1", status="failed"),
        allocation("webhook", "node-1", status="lost"),
        allocation("tgibf", "node-1", memory=300, status="complete"),
        allocation("webhook", "node-1", desired="stop"),
    ]
    room = room_of([node("node-1")], gone, GROUP)
    assert (room.fits, room.more) == (3, 3)
    assert room_of([node("node-1")], [allocation("x", "node-1", status="pending")], GROUP).fits == 2


def test_what_is_scarcest_decides() -> None:
    assert room_of([node("node-1", memory=8000, cpu=700)], [], GROUP).fits == 3
    assert Resources(1000, 1000, 299).times(NEED) == 0
    assert Resources(-1, 1000, 1000).times(NEED) == 0


def test_more_than_fits_is_refused_with_what_to_do() -> None:
    room = Room(NEED, {"node-1": Resources(400, 9000, 9000)}, {"node-1": 1})
    assert too_many(3, room) is None
    assert too_many(4, room) == (
        "there is no room for 4 allocations of the webhook: 3 fit (node-1 3; each has 160 MB and "
        "200 MHz to itself); scripts/cluster scale 3"
    )
    nowhere = too_many(1, Room(NEED, {}, {}))
    assert nowhere is not None
    assert "0 fit (no node takes any" in nowhere
    assert "scale 0" not in nowhere


@given(st.lists(st.integers(-500, 5000), max_size=5), st.integers(0, 8))
def test_what_fits_can_be_placed_and_one_more_can_not(memory: list[int], placed: int) -> None:
    free = {f"node-{n}": Resources(one, 10_000, 20_000) for n, one in enumerate(memory)}
    room = Room(NEED, free, {"node-0": placed} if placed else {})
    left = list(memory)
    for _ in range(room.more):
        left.remove(most := max(left))
        assert most >= NEED.memory
        left.append(most - NEED.memory)
    assert all(one < NEED.memory for one in left)
    assert room.fits == placed + room.more
