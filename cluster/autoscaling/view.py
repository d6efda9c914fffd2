"""What the autoscaler does, as people who ask for the cluster's state see it."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException

from cluster.autoscaling.gate import get
from cluster.layout import GATE_PORT, NODES, Node

ASK_SECONDS = 2.0
SILENT_SECONDS = 20.0
"""It evaluates each 5 s (nomad/webhook.nomad)."""


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """As its gate says; see `cluster.autoscaling.gate.View`."""

    wanted: int | None
    why: str
    asked_seconds_ago: float

    @property
    def evaluates(self) -> bool:
        """Whether it asks how many are wanted, and gets an answer."""
        return self.wanted is not None and self.asked_seconds_ago < SILENT_SECONDS

    def words(self) -> str:
        """Such as `autoscaler evaluates`, or why it does not."""
        if self.asked_seconds_ago >= SILENT_SECONDS:
            return "autoscaler does not evaluate"
        return "autoscaler holds the count: " + self.why if self.why else "autoscaler evaluates"


def autoscaler_at(node: Node, now: Callable[[], float] = time.time) -> Autoscaler | None:
    """What the autoscaler's gate on the node says; None if nothing does."""
    try:
        status, content = get((node.address, GATE_PORT), "/view", ASK_SECONDS)
        said = json.loads(content)
        wanted, why, asked_at = said["wanted"], str(said["why"]), float(said["asked_at"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None
    if status != HTTPStatus.OK:
        return None
    return Autoscaler(None if wanted is None else int(wanted), why, now() - asked_at)


def autoscaler_among(nodes: Iterable[Node] = NODES) -> Autoscaler | None:
    """What it does, on whichever of the nodes it is; None where there is none."""
    return next((one for one in map(autoscaler_at, nodes) if one is not None), None)
