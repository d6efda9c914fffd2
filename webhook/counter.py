"""How many events came in: reads of the store, shared by requests that arrive at the same time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from webhook.clock import MICROSECONDS, ReceiptClock
from webhook.store.contract import Store
from webhook.window import Window


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read of the store showed."""

    window: Window
    counts: Mapping[int, int]
    """Events by second of receipt."""


class WindowCounter:
    """Reads the window from the store.

    A request never gets a read that began before it arrived. Requests that arrive while a read is
    under way share the next one, so there are never more than two, whatever the number of requests.
    """

    def __init__(self, store: Store, clock: ReceiptClock, window_seconds: int) -> None:
        self._store = store
        self._clock = clock
        self._window_seconds = window_seconds
        self._running: asyncio.Task[Reading] | None = None
        self._next: asyncio.Task[Reading] | None = None
        self.reads = 0
        """Reads of the window; each is one statement or several, as the store has it."""
        self._ahead: Mapping[int, int] = {}
        """Of the last reading: events that were ahead of the clock of that moment, by second."""

    @property
    def ahead(self) -> int:
        """Events of the last reading that are still ahead of the clock."""
        return sum(self._window().ahead(self._ahead).values())

    @property
    def store_reads(self) -> int:
        """Statements that the reads took."""
        return self._store.reads

    async def read(self) -> Reading:
        """A reading that began after this call. Raises StoreUnavailable."""
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._running))
        return await asyncio.shield(self._next)

    async def _read_after(self, running: asyncio.Task[Reading] | None) -> Reading:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        self.reads += 1
        counts = await self._store.counts_since(self._window().start)
        # The window of the moment after: what the read has seen of a second that began meanwhile
        # is within it, and what fell out of it meanwhile is not counted.
        window = self._window()
        self._ahead = window.ahead(counts)
        return Reading(window, counts)

    def _window(self) -> Window:
        return Window.ending_at(self._clock() / MICROSECONDS, self._window_seconds)
