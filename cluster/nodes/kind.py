"""What differs from one kind of nodes to the other, once they have started.

`namespaces` makes nodes of this machine's own, `virtual` what virtual machines get. A further kind
is a file beside them, with a `NodeKind` for `cluster.up.run_jobs`; what starts, kills and hurts its
nodes is its own.
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
