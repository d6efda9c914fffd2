"""How the kinds of nodes differ once they have started.

`namespaces` makes nodes on this machine; `virtual` makes what virtual machines get. Another kind is
a file beside them, with a `NodeKind` for `cluster.up.run_jobs`, and its own code to start, kill and
hurt its nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cluster.layout import NODES

NAMES = {node.name for node in NODES}


@dataclass(frozen=True, slots=True)
class NodeKind:
    """A kind of nodes."""

    within_seconds: float
    """How long it may take them to be well."""
    running: Callable[[], set[str]]
    """The names of those that run."""
    advice: str
    """What to do when they are not well."""
    webhook: tuple[str, ...] = ()
    """Options for the webhook's job."""
