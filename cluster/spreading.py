"""Spreads allocations evenly over the nodes again: they don't move when a node comes back."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cluster.health import ask_nomad, look
from cluster.jobs import nomad
from cluster.layout import WEBHOOK, ClusterError
from tools.say import say

WITHIN_SECONDS = 120.0
LOOK_SECONDS = 0.5
TRIES = 3  # for each allocation: Nomad may place one where it was


def uneven(numbers: Mapping[str, int]) -> tuple[str, str] | None:
    """The node with the most and the one with the fewest, if one could be moved; or None."""
    if not numbers:
        return None
    most = max(sorted(numbers), key=lambda name: numbers[name])
    fewest = min(sorted(numbers), key=lambda name: numbers[name])
    return (most, fewest) if numbers[most] - numbers[fewest] > 1 else None


def spread() -> int:
    """Move allocations, one at a time and gently, until they are even; how many.

    Nomad ends one as when it scales down, and places another by the job's `spread`. Raises
    ClusterError.
    """
    moved = 0
    while pair := uneven(numbers := allocations_by_node()):
        if moved >= TRIES * sum(numbers.values()):
            raise ClusterError(f"Nomad keeps placing them where they were: {dict(numbers)}")
        most, fewest = pair
        say(f"moving one of the {numbers[most]} of {most}; {fewest} has {numbers[fewest]}")
        nomad("alloc", "stop", _running()[most][0])
        _await_well(sum(numbers.values()))
        moved += 1
    return moved


def allocations_by_node() -> Counter[str]:
    """How many allocations of the webhook run on each node that takes any. Raises ClusterError."""
    clients = look(()).clients
    if not clients:
        raise ClusterError("no Nomad answers; scripts/cluster up")
    running = _running()
    return Counter({name: len(running.get(name, ())) for name in clients})


def _running() -> dict[str, list[str]]:
    """The ids of the webhook's allocations that are to run, by node."""

    def question(client: Any) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in client.job.get_allocations(WEBHOOK):
            if one["DesiredStatus"] == "run" and one["ClientStatus"] in {"pending", "running"}:
                found.setdefault(one["NodeName"], []).append(one["ID"])
        return found

    found = ask_nomad(question)
    if found is None:
        raise ClusterError("no Nomad answers; scripts/cluster up")
    return found


def _await_well(number: int) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while (
        len(look((WEBHOOK,)).passing(WEBHOOK)) != number
        or sum(map(len, _running().values())) != number
    ):
        if time.monotonic() > deadline:
            raise ClusterError(f"{number} allocations were not well within {WITHIN_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
