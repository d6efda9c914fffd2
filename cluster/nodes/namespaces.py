"""The nodes as namespaces: makes, starts, kills and finds them."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from cluster import fence
from cluster.access.secrets import GIVEN, ON_NODE
from cluster.layout import (
    HOST_ADDRESS,
    HOST_INTERFACE,
    NETWORK,
    NODE_INTERFACE,
    NODES,
    ON_NODES,
    STATE,
    ClusterError,
    Node,
)
from cluster.linux import control_groups, small_disk
from cluster.linux.namespace import (
    LastingMachine,
    LastingSwitch,
    NamespaceError,
    Namespaces,
    await_that,
    in_memory,
    routes_to,
)
from cluster.linux.running import Running
from cluster.nodes.kind import NodeKind
from tools.root import ROOT

KIT = ON_NODES if ROOT == ON_NODES else STATE / "kit"  # a virtual machine has nothing else
UNITS = ("consul/consul", "cassandra/cassandra", "nomad/nomad")
SWITCH = "switch"
STOP_SIGNALS = {"nomad": "INT"}  # as its unit file has it
STOP_SECONDS = 60.0  # the longest that a unit file gives
RECORDS = Running(STATE / "run")


def running(name: str) -> int:
    """The first process of the machine of that name, 0 if none runs."""
    return RECORDS.pid(name)


def start_switch() -> LastingSwitch:
    """The switch that the nodes are plugged into, made unless it is there. Raises ClusterError."""
    if pid := running(SWITCH):
        return LastingSwitch(SWITCH, pid)
    refuse_taken_network()
    fence.put_up()
    switch = LastingSwitch(SWITCH)
    switch.make("sleep", "infinity")
    switch.build()
    switch.plug_host(HOST_INTERFACE, HOST_ADDRESS)
    RECORDS.keep(switch)
    switch.run(Path("/dev/null"))
    return switch


def refuse_memory(folder: Path) -> None:
    """Raises ClusterError if the folder, which is made, is in memory: no sync means anything."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind := in_memory(folder):
        raise ClusterError(
            f"{folder} is on {kind}, where a sync means nothing; put the checkout on a disk"
        )


def refuse_taken_network() -> None:
    """Raises ClusterError if somebody else has the nodes' addresses."""
    if running(SWITCH):
        return
    if taken := routes_to(NETWORK):
        raise ClusterError(
            f"the nodes need the addresses {NETWORK}, which this machine uses already:\n"
            f"       {taken}\n"
            "       Halt what has them (another cluster, a test, virtual machines) and try again."
        )


def start(node: Node) -> None:
    """Start a node that does not run: its namespaces, its folders, its services."""
    if running(node.name):
        return
    switch = start_switch()
    machine = LastingMachine(node.name)
    script = str(ON_NODES / "node/bin/init")
    machine.make(script, *(f"{ON_NODES}/{unit}.service" for unit in UNITS))
    # Connections that nobody has closed keep a dead network, and its port, for minutes.
    switch.unplug(node.name)
    switch.plug(machine, NODE_INTERFACE, f"{node.address}/24")
    _mount(node, machine)
    RECORDS.keep(machine)
    machine.run(Path("/var/log/init.log"))


def _mount(node: Node, machine: Namespaces) -> None:
    """Give the machine its own data and logs, and what all nodes have, at the usual paths."""
    for name in names(UNITS):
        (node.directory / "lib" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (node.directory / "log").mkdir(exist_ok=True)
    hosts = STATE / "hosts"
    hosts.write_text(
        "127.0.0.1 localhost\n" + "".join(f"{one.address} {one.name}\n" for one in NODES)
    )
    access = node.directory / "lib" / ON_NODE.relative_to("/var/lib")
    access.mkdir(parents=True, exist_ok=True)
    machine.must("mount", "--bind", str(node.directory / "lib"), "/var/lib")
    machine.must("mount", "--bind", "-o", "ro", str(GIVEN), str(ON_NODE))
    machine.must("mount", "--bind", str(node.directory / "log"), "/var/log")
    machine.must("mount", "--bind", str(hosts), "/etc/hosts")
    # A folder that the host does not have, over its own.
    mountpoints = STATE / "opt"
    (mountpoints / ON_NODES.name).mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={mountpoints}:{ON_NODES.parent}"
    machine.must("mount", "-t", "overlay", "-o", layers, "overlay", str(ON_NODES.parent))
    machine.must("mount", "--bind", "-o", "ro", str(KIT), str(ON_NODES))


def kill(node: Node) -> None:
    """End everything on the node at once, as when its power is cut. Its data stays.

    Its cable is pulled first: a kernel whose processes are killed tells everybody that they are
    gone, and a machine without power tells nobody.
    """
    if running(node.name):
        cable(node, "down")
    end(node)


def end(node: Node) -> None:
    """End everything on the node at once, but let its kernel close connections. Its data stays."""
    if pid := running(node.name):
        LastingMachine(node.name, pid).kill()
    RECORDS.forget(node.name)
    control_groups.remove_allocations(node.directory / "lib" / "nomad" / "alloc")


def cable(node: Node, state: str) -> None:
    """Pull the node's cable at the switch (`down`), or plug it in again (`up`)."""
    LastingSwitch(SWITCH, running(SWITCH)).cable(machine(node), state)


def machine(node: Node) -> LastingMachine:
    """The namespaces of a node. Raises ClusterError if it does not run."""
    pid = running(node.name)
    if not pid:
        raise ClusterError(f"{node.name} does not run; scripts/cluster start {node.name}")
    return LastingMachine(node.name, pid)


def restart(node: Node, unit: str) -> None:
    """Stop one of the node's own programs gently; its first process starts it again.

    Returns when it has started; that it is well is another matter. Raises ClusterError.
    """
    file = node.directory / "log" / f"{unit}.pid"
    if not file.exists():
        raise ClusterError(f"{node.name} has no {unit}; it has {', '.join(names(UNITS))}")
    before = file.read_text()
    inside_node = machine(node)
    inside_node.must("kill", f"-{STOP_SIGNALS.get(unit, 'TERM')}", before)
    try:
        await_that(lambda: file.read_text() != before, f"{unit}'s end", STOP_SECONDS)
    except NamespaceError:
        inside_node.must("kill", "-KILL", before)
        await_that(lambda: file.read_text() != before, f"{unit}'s end")


def names(units: Iterable[str]) -> list[str]:
    """What the units are called."""
    return [unit.rpartition("/")[2] for unit in units]


def take_place(node: Node) -> None:
    """Have the node's Cassandra, which has no data any more, take the place that it had.

    It gets all data from the others then, before it answers.
    """
    data = node.directory / "lib" / "cassandra"
    data.mkdir(parents=True, exist_ok=True)
    (data / "replace").touch()
    start(node)


def down(*, keep_data: bool) -> None:
    """End the nodes and the switch; their data goes too unless it is to stay.

    The fence stays: what is still sent to the nodes must not leave this machine.
    """
    fence.put_up()
    for node in NODES:
        kill(node)
        small_disk.remove(node.directory / "lib")  # if a drill was interrupted
    if pid := running(SWITCH):
        LastingSwitch(SWITCH, pid).kill()
        await_that(lambda: not Path("/sys/class/net", HOST_INTERFACE).exists(), "the switch's end")
    control_groups.remove_parents()
    if keep_data:
        shutil.rmtree(STATE / "run", ignore_errors=True)
    else:
        shutil.rmtree(STATE, ignore_errors=True)


def inside(node: Node, *command: str) -> list[str]:
    """The command that runs `command` on the node. Raises ClusterError if it does not run."""
    return machine(node).inside(*command)


def running_nodes() -> set[str]:
    """The names of the nodes that run."""
    return {node.name for node in NODES if running(node.name)}


NAMESPACES = NodeKind(
    240.0,
    running_nodes,
    f"the nodes' logs are in {STATE}/node-*/log, and `scripts/cluster up` resumes from here",
)
