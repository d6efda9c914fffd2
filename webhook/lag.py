"""How late the event loop is: whatever it does then, everybody waits for."""

import asyncio
import time
from math import inf

from webhook.peaks import Peak

TICK_SECONDS = 0.1


class LoopLag:
    """By how much a timer of 100 ms was late. `await watch()` keeps it, for as long as it runs."""

    def __init__(self) -> None:
        self._due = inf
        self._peak = Peak()

    async def watch(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            self._due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._peak.note(now - self._due, now)

    def worst(self, now: float) -> float:
        """The most seconds late, of the last 15 s until `now` (monotonic seconds)."""
        return max(self._peak.highest(now), now - self._due)
