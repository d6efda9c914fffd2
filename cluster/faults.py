"""Ways to hurt a node, as data: each has an action and what undoes it.

They are for drills (`scripts/cluster hurt`), for the tests and for the table in docs/faults.md.
Network faults are silent, as real ones are: packets vanish without a reply.
"""

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.jobs import client_id, nomad
from cluster.layout import NODE_INTERFACE, NODES, ClusterError, Node
from cluster.linux import small_disk
from cluster.linux.namespace import run, signal_process
from cluster.nodes import namespaces

TABLE = "fault"
LOSS_PERCENT = 10
DELAY_MS = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to hurt a node."""

    name: str
    meaning: str
    begin: Callable[[Node], None]
    end: Callable[[Node], None]
    """Undoes it, as far as somebody must; a node that was killed is started."""
    planned: bool = False
    """Whether an operator does it on purpose: no event may fail."""
    missing: Callable[[], str | None] = lambda: None
    """Why this machine can't do it; None if it can."""
    prepare: Callable[[Node], None] | None = None
    """What it needs beforehand. The node restarts, and is waited for."""
    clean_up: Callable[[Node], None] | None = None
    """Undoes `prepare`; the node restarts."""


def fault(name: str) -> Fault:
    """The fault of that name. Raises ClusterError."""
    for one in FAULTS:
        if one.name == name:
            return one
    raise ClusterError(f"there is no fault {name}; there are {', '.join(f.name for f in FAULTS)}")


def _processes(node: Node) -> Iterator[int]:
    """Every process of the node, including its allocations', which have separate numbers."""
    network = Path(f"/proc/{namespaces.machine(node).pid}/ns/net").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "ns" / "net").readlink() == network:
                yield int(process.name)


def _signal_all(node: Node, number: signal.Signals) -> None:
    """Twice: some may have begun meanwhile."""
    for _ in range(2):
        for pid in list(_processes(node)):
            signal_process(pid, number)


def _drop(node: Node, *rules: str) -> None:
    """Have the node's network drop packets, by nft's rules for chains named in and out."""
    machine = namespaces.machine(node)
    _pass(node)
    machine.must("nft", f"add table inet {TABLE}")
    for chain, hook in (("in", "input"), ("out", "output")):
        machine.must(
            "nft", f"add chain inet {TABLE} {chain} {{ type filter hook {hook} priority 0 ; }}"
        )
    for rule in rules:
        machine.must("nft", f"add rule inet {TABLE} {rule} drop")


def _pass(node: Node) -> None:
    """Undo `_drop`; there may be nothing to undo."""
    machine = namespaces.machine(node)
    machine.must("nft", f"add table inet {TABLE}")
    machine.must("nft", f"delete table inet {TABLE}")


def _no_nft() -> str | None:
    return (
        None if shutil.which("nft") else "nft is not installed; on Debian: apt-get install nftables"
    )


def _no_netem() -> str | None:
    probe = "tc qdisc add dev lo root netem delay 1ms"
    tried = run(["unshare", "--net", "sh", "-c", f"ip link set lo up && {probe}"])
    return f"this kernel can't delay packets: {tried.stderr.strip()}" if tried.returncode else None


def _delay(node: Node) -> None:
    delay = ["netem", "delay", f"{DELAY_MS}ms"]
    namespaces.machine(node).must("tc", "qdisc", "add", "dev", NODE_INTERFACE, "root", *delay)


def _hurry(node: Node) -> None:
    namespaces.machine(node).must("tc", "qdisc", "del", "dev", NODE_INTERFACE, "root")


def _part(node: Node) -> None:
    """Cut the node off from the next one, both ways; each still reaches the third."""
    other = NODES[node.number % len(NODES)]
    _drop(node, f"in ip saddr {other.address}", f"out ip daddr {other.address}")


def _signal_nomad(node: Node, number: signal.Signals) -> None:
    pid = (node.directory / "log" / "nomad.pid").read_text()
    namespaces.machine(node).must("kill", f"-{number.value}", pid)


def _lose_disk(node: Node) -> None:
    """End it silently, with all that it had stored, and start another in its place at once."""
    namespaces.kill(node)
    shutil.rmtree(_lib(node))
    namespaces.start(node)


def _reboot(node: Node) -> None:
    namespaces.kill(node)
    namespaces.start(node)


def _drain(node: Node) -> None:
    nomad("node", "drain", "-enable", "-yes", client_id(node))


def _undrain(node: Node) -> None:
    nomad("node", "drain", "-disable", "-yes", client_id(node))


def _lib(node: Node) -> Path:
    return node.directory / "lib"


def _move_to_small_disk(node: Node) -> None:
    namespaces.end(node)
    small_disk.make(_lib(node))
    namespaces.start(node)


def _move_back(node: Node) -> None:
    namespaces.end(node)
    small_disk.remove(_lib(node))
    namespaces.start(node)


def _nothing(_node: Node) -> None:
    """It ends by itself."""


FAULTS = (
    Fault(
        "exit",
        "its processes end, and its kernel closes their connections",
        namespaces.end,
        namespaces.start,
    ),
    Fault("kill", "its power is cut: it sends nothing any more", namespaces.kill, namespaces.start),
    Fault(
        "hang",
        "none of its processes runs; its kernel accepts connections",
        lambda node: _signal_all(node, signal.SIGSTOP),
        lambda node: _signal_all(node, signal.SIGCONT),
    ),
    Fault(
        "agent",
        "its Nomad agent hangs, and nothing else",
        lambda node: _signal_nomad(node, signal.SIGSTOP),
        lambda node: _signal_nomad(node, signal.SIGCONT),
    ),
    Fault(
        "cable",
        "its cable is pulled",
        lambda node: namespaces.cable(node, "down"),
        lambda node: namespaces.cable(node, "up"),
    ),
    Fault(
        "mute",
        "what it sends is lost; it receives everything",
        lambda node: _drop(node, f"out oifname {NODE_INTERFACE}"),
        _pass,
        missing=_no_nft,
    ),
    Fault(
        "deaf",
        "what it is sent is lost",
        lambda node: _drop(node, f"in iifname {NODE_INTERFACE}"),
        _pass,
        missing=_no_nft,
    ),
    Fault(
        "parted",
        "it and the next node don't reach each other; the third reaches both",
        _part,
        _pass,
        missing=_no_nft,
    ),
    Fault(
        "loss",
        f"{LOSS_PERCENT} % of what it is sent is lost",
        lambda node: _drop(node, f"in numgen random mod 100 < {LOSS_PERCENT}"),
        _pass,
        missing=_no_nft,
    ),
    Fault("delay", f"what it sends takes {DELAY_MS} ms longer", _delay, _hurry, missing=_no_netem),
    Fault("reboot", "it ends and starts again at once", _reboot, _nothing),
    Fault("disk", "it comes back at once with an empty disk", _lose_disk, namespaces.take_place),
    Fault(
        "full",
        "nothing fits on its disk any more",
        lambda node: small_disk.fill(_lib(node)),
        lambda node: small_disk.free(_lib(node)),
        missing=small_disk.missing,
        prepare=_move_to_small_disk,
        clean_up=_move_back,
    ),
    Fault("drain", "its allocations are moved, for work on it", _drain, _undrain, planned=True),
)
