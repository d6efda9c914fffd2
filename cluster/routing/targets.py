"""To which instances of the webhook a node's Fabio sends connections.

Consul says where instances are. It can't say whether they are reachable *from this node*: it
notices a silent node after half a minute, and never notices that two nodes can't reach each other.
So each node checks for itself, twice per second unless that takes too much of its time, and its
results override Consul's.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One instance of the webhook, as Consul has it."""

    node: str
    address: str
    """host:port"""
    passing: bool = True
    """Whether all of its checks pass."""


class Probe(Enum):
    """The result of asking an instance whether it takes events."""

    READY = "ready"
    NOT_READY = "not ready"
    """It answers, and says no: it drains, or can't reach its store."""
    ABSENT = "absent"
    """Its node says that nothing listens there."""
    LATE = "late"
    """No answer in time: it may be busy, or dead."""


def choose(
    instances: Iterable[Instance],
    silent: Collection[str],
    probes: Mapping[str, Probe],
    doubted: Collection[str] = (),
) -> list[Instance]:
    """Those that get connections, the same ones in the same order each time.

    1. None on a node in `silent`, and none whose own answer is no (`probes`, by address).
    2. Whoever says yes, whatever Consul thinks: a check may be late, and after a restart of its
       agent every check begins as failed.
    3. Of one that was not heard, Consul's word counts, unless it is `doubted`, by address: its node
       was silent, and may have come back without it.
    4. There is always somebody, if anybody is registered: a refusal by a receiver that says why is
       better than a closed connection, and a node that hears nobody may be the one that is deaf.
    """
    known = sorted(set(instances))
    answering = [
        one
        for one in known
        if one.node not in silent
        and probes.get(one.address) not in {Probe.NOT_READY, Probe.ABSENT}
        and (probes.get(one.address) is Probe.READY or (one.passing and one.address not in doubted))
    ]
    listening = [one for one in known if probes.get(one.address) is not Probe.ABSENT]
    return answering or [one for one in listening if one.passing] or listening or known
