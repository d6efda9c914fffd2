"""The nodes: makes, starts, kills and finds them. Each is a set of namespaces."""

import shutil
from pathlib import Path

from cluster import fence
from cluster.linux.namespace import LastingMachine, LastingSwitch, await_that, must, routes_to
from cluster.linux.running import Running
from kubelab import host, services
from kubelab.layout import (
    HOST_ADDRESS,
    HOST_INTERFACE,
    NETWORK,
    NODE_INTERFACE,
    ON_NODES,
    POD_NETWORK,
    STATE,
    LabError,
    Node,
    nodes,
)
from tools.root import ROOT

SWITCH = "switch"
INIT = ROOT / "node" / "bin" / "init"
SETTINGS = ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
BOUND = {"lib": "/var/lib", "log": "/var/log"}
RECORDS = Running(STATE / "run")


def running(node: Node) -> bool:
    """Whether the node runs."""
    return bool(RECORDS.pid(node.name))


def machine(node: Node) -> LastingMachine:
    """The namespaces of a node. Raises LabError if it does not run."""
    pid = RECORDS.pid(node.name)
    if not pid:
        raise LabError(f"{node.name} does not run; scripts/kubernetes start {node.name}")
    return LastingMachine(node.name, pid)


def refuse_taken_networks() -> None:
    """Raises LabError if somebody else has the addresses of the nodes or of their pods."""
    if RECORDS.pid(SWITCH):
        return
    for network in (NETWORK, POD_NETWORK):
        if taken := routes_to(network):
            raise LabError(
                f"Kubernetes' nodes need the addresses {network}, which this machine uses already:"
                f"\n       {taken}\n       Halt what has them and try again."
            )


def _start_switch() -> LastingSwitch:
    """The switch that the nodes are plugged into, made unless it is there."""
    if pid := RECORDS.pid(SWITCH):
        return LastingSwitch(SWITCH, pid)
    refuse_taken_networks()
    fence.put_up(NETWORK)
    switch = LastingSwitch(SWITCH)
    switch.make("sleep", "infinity")
    switch.build()
    switch.plug_host(HOST_INTERFACE, HOST_ADDRESS)
    for node in nodes():  # for who reads the ring's rows from outside
        must(["ip", "route", "replace", node.pods, "via", node.address, "dev", HOST_INTERFACE])
    RECORDS.keep(switch)
    switch.run(Path("/dev/null"))
    return switch


def start(node: Node) -> None:
    """Start a node that does not run: its namespaces, its folders, its parts."""
    if running(node):
        return
    switch = _start_switch()
    host.keep_settings()
    host.make_groups(node)
    made = LastingMachine(node.name)
    made.make(str(INIT), *services.write(node))
    # Connections that nobody has closed keep a dead network, and its port, for minutes.
    switch.unplug(node.name)
    switch.plug(made, NODE_INTERFACE, f"{node.address}/24")
    _connect(node, made)
    _mount(node, made)
    RECORDS.keep(made)
    made.run(Path("/var/log/init.log"))


def _connect(node: Node, made: LastingMachine) -> None:
    """Give it the ways to the other nodes' pods; services need any way at all."""
    made.must("sysctl", "-qw", *SETTINGS)
    for other in nodes():
        if other != node:
            made.must("ip", "route", "add", other.pods, "via", other.address)
    made.must("ip", "route", "add", "default", "dev", NODE_INTERFACE)


def _mount(node: Node, made: LastingMachine) -> None:
    """Give it its own data and logs at the usual places, so that nothing has to be told where."""
    for name, path in BOUND.items():
        folder = node.directory / name
        folder.mkdir(parents=True, exist_ok=True)
        made.must("mount", "--bind", str(folder), path)
    made.must("mount", "--bind", str(STATE), str(ON_NODES))
    made.must("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    made.must("mount", "--make-rshared", "/")  # what is mounted for a pod is seen in it


def kill(node: Node) -> None:
    """End everything on the node at once, as when its power is cut. Its data stays.

    Its cable is pulled first: a kernel whose processes are killed tells everybody that they are
    gone, and a machine without power tells nobody.
    """
    if running(node):
        LastingSwitch(SWITCH, RECORDS.pid(SWITCH)).cable(machine(node), "down")
        machine(node).kill()
    RECORDS.forget(node.name)
    host.remove_groups(node.group)


def down() -> None:
    """End everything, and remove it.

    The fence stays: what is still sent to the nodes must not leave this machine.
    """
    for node in reversed(nodes()):
        kill(node)
    if pid := RECORDS.pid(SWITCH):
        LastingSwitch(SWITCH, pid).kill()
        await_that(lambda: not Path("/sys/class/net", HOST_INTERFACE).exists(), "the switch's end")
    host.remove_groups()
    host.restore_settings()
    shutil.rmtree(STATE, ignore_errors=True)
