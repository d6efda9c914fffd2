"""Ways to hurt a virtual machine, as data: what begins each, and what ends it.

They are commands of Vagrant's and of the node's own system, so they don't depend on the provider.
Those that `cluster.faults` has too have its names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cluster.faults import DELAY_MS, LOSS_PERCENT
from cluster.layout import NODE_INTERFACE

DATA = "/var/lib"
FREE_BYTES = f"$(stat --file-system --format='%f * %S' {DATA})"
SPARE_BYTES = 4 << 20  # the file system needs some for so large a file itself


class Vagrant(Protocol):
    """Carries out commands of Vagrant's, and commands on a node."""

    def __call__(self, *arguments: str) -> str: ...

    def ssh(self, node: str, command: str) -> str: ...


Act = Callable[[Vagrant, str], object]
"""Does something to the node of that name."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to hurt a machine."""

    name: str
    begin: Act
    end: Act
    polite: bool = False
    """Whether it says goodbye: no connection in use may be closed by it."""
    short: bool = False
    """Whether it is tried each time; the others only at length."""


def _typed(*words: str) -> Act:
    return lambda vagrant, node: vagrant(*words, node)


def _there(line: str) -> Act:
    return lambda vagrant, node: vagrant.ssh(node, line)


def _sending(how: str) -> tuple[Act, Act]:
    """Have netem do that to what the node sends to the others."""
    return (
        _there(f"sudo tc qdisc add dev {NODE_INTERFACE} root netem {how}"),
        _there(f"sudo tc qdisc del dev {NODE_INTERFACE} root"),
    )


WAYS = (
    Way("halt", _typed("halt"), _typed("up"), polite=True, short=True),
    Way(
        "drain",
        _there("nomad node drain -self -enable -yes"),
        _there("nomad node drain -self -disable -yes"),
        polite=True,
    ),
    Way("hang", _typed("suspend"), _typed("resume"), short=True),
    Way("kill", _typed("halt", "--force"), _typed("up", "--no-provision"), short=True),
    Way(
        "cable",
        _there(f"sudo ip link set {NODE_INTERFACE} down"),
        _there(f"sudo ip link set {NODE_INTERFACE} up"),
        short=True,
    ),
    Way("mute", *_sending("loss 100%")),
    Way("loss", *_sending(f"loss {LOSS_PERCENT}%")),
    Way("delay", *_sending(f"delay {DELAY_MS}ms"), short=True),
    Way(
        "clock",
        _there("sudo date --set='+10 minutes'"),
        _there("sudo date --set='-10 minutes'"),
    ),
    Way(
        "full",
        _there(f"sudo fallocate --length $(({FREE_BYTES} - {SPARE_BYTES})) {DATA}/filling"),
        _there(f"sudo rm {DATA}/filling"),
    ),
)
