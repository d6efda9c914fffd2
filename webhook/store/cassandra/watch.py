"""Checks the ring every few seconds, off the path of events: its clocks, its copies.

The ring has clocks. A receiver whose clock is wrong from the start notices nothing by itself, but
no other receiver counts its events. So its clock is compared with those of the nodes. A node's
clock is known to within half of the time that its answer took. The median of them is the ring's
clock, because the node on the receiver's own machine may be as wrong as the receiver.

The ring may be emptied, restored, or made again under the receiver, which remembers what it has
read and what its lanes have written. Each of these leaves a mark: the time at which a node last
emptied a table, a table's id, or its comment, which `scripts/cassandra reread` changes after a
restore.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median_high, median_low
from typing import Any

from webhook.clock import SKEW_SECONDS
from webhook.store.cassandra.link import RING_ERRORS, Link, Look
from webhook.store.cassandra.ring import Ring
from webhook.store.contract import Gauge, StoreUnavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
FIRST_LOOK_SECONDS = 0.2  # while nothing is known
PROMISED_COPIES = 3  # with which any one of three nodes may die


class Watch:
    """What is known about `ring`, apart from its events."""

    def __init__(self, ring: Ring, changed: Callable[[], None]) -> None:
        """`changed` is called when the tables were replaced or emptied."""
        self._ring = ring
        self._changed = changed
        self._marks: dict[str, object] = {}
        self._ahead: float | None = None
        self._error = 0.0
        self._copies = 0
        self._nodes = 0
        self._skewed = self._few = False

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(FIRST_LOOK_SECONDS if self._ahead is None else LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. Whatever fails is tried again the next time."""
        link = self._ring.link
        if link is None:
            return
        try:
            looks = await asyncio.to_thread(link.look)
            self._saw(looks)
            keyspace = self._ring.settings.keyspace
            self._compare(looks, await asyncio.to_thread(link.tables, keyspace))
            self._count_copies(link)
        except RING_ERRORS as error:
            log.debug("looking at the ring: %s", error)
        except Exception:
            log.exception("looking at the ring failed; trying again")

    async def check(self) -> None:
        """Raise StoreUnavailable if the machine's clock is not the ring's, or nobody can tell."""
        if self._ahead is None:
            await self.look()
        if self._ahead is None:
            raise StoreUnavailable("this machine's clock could not be compared with the ring's yet")
        if self._skewed:
            raise StoreUnavailable(self._skew_in_words(self._ahead))

    def gauges(self) -> Iterator[Gauge]:
        """For /metrics; nothing while not connected."""
        link = self._ring.link
        if link is None:
            return
        if self._ahead is not None:
            yield Gauge(
                "webhook_clock_ahead_of_ring_seconds",
                "How far the machine's clock is ahead of the ring's; negative if behind",
                self._ahead,
            )
        yield Gauge("webhook_ring_nodes", "Nodes of the ring", self._nodes)
        yield Gauge(
            "webhook_ring_connected_nodes", "Nodes with a connection", len(link.connected())
        )
        yield Gauge("webhook_ring_copies", "Nodes that store each event", self._copies)

    def _saw(self, looks: Sequence[Look]) -> None:
        if not looks:
            return
        ahead = sorted(look.ahead for look in looks)
        self._ahead = min(median_low(ahead), median_high(ahead), key=abs)
        error = max(look.error for look in looks)
        skewed = abs(self._ahead) - error > SKEW_SECONDS
        if skewed and not self._skewed:
            log.warning("not ready: %s", self._skew_in_words(self._ahead))
        if self._skewed and not skewed:
            log.warning("this machine's clock agrees with the ring's again")
        self._skewed = skewed

    def _compare(self, looks: Sequence[Look], tables: Mapping[Any, str]) -> None:
        """Compare the marks with the previous ones."""
        if not tables:  # dropped; when they are there again they are others
            return
        marks: dict[str, object] = {"tables": tables}
        for look in looks:
            ours = {table: at for table, at in look.truncated.items() if table in tables}
            marks[look.address] = ours
        if any(self._marks.get(name, mark) != mark for name, mark in marks.items()):
            self._changed()
        self._marks |= marks

    def _skew_in_words(self, ahead: float) -> str:
        return (
            f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} "
            f"the ring's, {SKEW_SECONDS} s are allowed, and other receivers would not count what "
            "is received now; mend the machine's time service"
        )

    def _count_copies(self, link: Link) -> None:
        self._nodes, self._copies = link.size(), link.copies(self._ring.settings.keyspace)
        few = 0 < self._copies < PROMISED_COPIES <= self._nodes
        if few and not self._few:
            log.warning(
                "keyspace %s has each event on %d of %d nodes: not any one node may die; see "
                "scripts/cassandra schema --help for how to raise the replication factor",
                self._ring.settings.keyspace,
                self._copies,
                self._nodes,
            )
        self._few = few
