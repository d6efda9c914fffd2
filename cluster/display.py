"""The state of the cluster in a few lines; on a terminal they are redrawn as it changes."""

import sys
import time

from cluster.health import Health
from cluster.layout import NODES, SHOWN, WEBHOOK


def lines(health: Health, running: set[str]) -> list[str]:
    """A line for each node, with what is well on it."""
    return [
        f"{node.name}  {node.address}  "
        + (_parts(health, node.name) if node.name in running else "down")
        for node in NODES
    ]


def _parts(health: Health, node: str) -> str:
    cells = [f"{part.name} {'ok' if node in health.well(part) else '--'}" for part in SHOWN]
    cells.append(f"webhook {sum(one.node == node for one in health.passing(WEBHOOK))}")
    leaders = (("Consul", health.consul_leader), ("Nomad", health.nomad_leader))
    if leads := [part for part, leader in leaders if leader == node]:
        cells.append(f"leads {' and '.join(leads)}")
    return "  ".join(cells)


class Display:
    """Lines on stderr: over the last ones on a terminal, elsewhere those that have changed."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last: list[str] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def show(self, lines: list[str]) -> None:
        """Show the lines."""
        if sys.stderr.isatty():
            up = f"\033[{len(self._last)}A" if self._last else ""
            print(up + "".join(f"\033[K    {line}\n" for line in lines), end="", file=sys.stderr)
        else:
            for line in lines:
                if line not in self._last:
                    print(f"    {self.seconds:3.0f} s  {line}", file=sys.stderr)
        sys.stderr.flush()
        self._last = lines
