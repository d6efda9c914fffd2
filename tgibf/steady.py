"""Steady mode: events at even intervals, whatever the answers (an open loop).

Latency counts from the moment an event was due, not from when it was sent. Otherwise a receiver
that stalls would get fewer requests just while it stalls, and look better than it is (coordinated
omission: https://www.scylladb.com/2021/04/22/on-coordinated-omission/).
"""

import asyncio
from math import inf
from time import monotonic

from tgibf.schedule import Schedule
from tgibf.sender import Sender
from tgibf.settings import SteadyPlan
from tgibf.stop import Stop

_SLICE = 32
"""POSTs that are started between two looks at what has been answered."""
_TICK = 0.001
"""Seconds: the event loop's timers are no finer, so events due within one start together."""
_CATCH_UP = 0.5
"""Seconds after the end in which events that were due before it may still be started."""


async def send_steadily(plan: SteadyPlan, sender: Sender, stop: Stop) -> None:
    """Send at the plan's rates until the stop; everything sent has settled on return."""
    schedule = Schedule(plan.steps, sender.batch)
    posts = 0
    scheduled = schedule.posts_within(inf if stop.seconds is None else stop.seconds)
    while posts < scheduled and not stop.called:
        due = stop.began + schedule.due(posts)
        now = monotonic()
        if due > now:
            await stop.pause(max(due - now, _TICK))
            continue
        sender.lag(now - due)
        if stop.seconds is not None and now > stop.began + stop.seconds + _CATCH_UP:
            sender.tally.unsent = int(scheduled - posts) * sender.batch
            break
        if not sender.has_room:
            await sender.wait_for_room()
            continue
        sender.send(sender.batch, due)
        posts += 1
        if posts % _SLICE == 0:
            await asyncio.sleep(0)
    await sender.wait_for_all()
