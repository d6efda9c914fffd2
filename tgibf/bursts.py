"""Burst mode: ever larger bursts, every event at once; a step back after a failure."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from tgibf.sender import Sender
from tgibf.settings import BurstPlan
from tgibf.stop import Stop

_SLICE = 32
"""POSTs that are started between two looks at what has been answered."""


class Burst(NamedTuple):
    """A finished burst. `seconds` is from its first event to its last outcome."""

    number: int
    events: int
    seconds: float
    failed: bool


def next_burst(number: int, *, failed: bool) -> int:
    """The number of the burst after burst `number`, of which a connection failed, or none."""
    return max(1, number - 2) if failed else number + 1


async def send_bursts(
    plan: BurstPlan,
    sender: Sender,
    stop: Stop,
    *,
    started: Callable[[int, int], None],
    finished: Callable[[Burst], None],
) -> None:
    """Send bursts until the plan's end or the stop; everything sent has settled on return.

    `started` gets the number and the events of each burst, `finished` the result of each that
    was sent whole.
    """
    number = 1
    while not stop.due:
        events = number * plan.size
        failures = sender.tally.failed_connections
        began = monotonic()
        started(number, events)
        whole = await _send_all(events, sender, stop)
        await sender.wait_for_all()
        if not whole:
            return
        failed = sender.tally.failed_connections > failures
        sender.tally.finish_burst(events, failed=failed)
        finished(Burst(number, events, monotonic() - began, failed))
        if sender.tally.bursts == plan.bursts:
            return
        number = next_burst(number, failed=failed)
        await stop.pause(plan.pause)


async def _send_all(events: int, sender: Sender, stop: Stop) -> bool:
    """Start that many events at once; whether all were, before the stop."""
    left = events
    posts = 0
    while left:
        if posts % _SLICE == 0 or not sender.has_room:
            await asyncio.sleep(0)
            await sender.wait_for_room()
            if stop.due:
                return False
        size = min(sender.batch, left)
        sender.send(size)
        left -= size
        posts += 1
    return True
