"""Rings that tests share, one at a time, since there is one set of addresses.

A test that asks for `lone_node` or `three_nodes` gets a whole ring, whatever the one before did to
it, with other tests' keyspaces in it. A test with a ring of its own asks for `no_shared_ring`.
"""

from collections.abc import Callable
from pathlib import Path

from harness.ring import SHORT_LIVED, Ring


class SharedRings:
    """The ring that runs now, if any. `folder` makes a new folder for each."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._ring: Ring | None = None

    def of(self, nodes: int) -> Ring:
        """A whole ring of so many nodes: the one that runs, or a new one in its place."""
        if self._ring is not None and len(self._ring.nodes) == nodes:
            self._ring.restore()
            return self._ring
        self.end()
        self._ring = Ring(self._folder(), nodes, jvm_options=SHORT_LIVED).start()
        return self._ring

    def end(self) -> None:
        """End the ring that runs."""
        if self._ring is not None:
            self._ring.stop()
        self._ring = None
