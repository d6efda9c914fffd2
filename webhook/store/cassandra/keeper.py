"""Keeps the receiver connected to its ring for as long as it lives.

The driver repairs most failures: it reconnects within seconds to a node that restarts. It never
recovers from a log-in that was refused once (by a node that can't read its roles yet, or because a
password was changed for a moment), a name that could not be looked up, or a change of all
addresses. So if nodes stay without a connection although they could have one, the keeper makes
another link from the settings. It replaces the existing link only if it reaches more nodes.

Connections that are open belong to who logged in. So if the file with the login says another one,
the keeper makes another link, too, and uses it if it reaches no fewer nodes: then whoever was told
before is needed no more, and his role can go.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Iterable, Sequence
from math import inf

from webhook.store.cassandra.link import REQUEST_SECONDS, Link, login_now
from webhook.store.cassandra.login import Login
from webhook.store.cassandra.ring import Ring
from webhook.store.contract import StartError, StoreUnavailable

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
LOST_SECONDS = 5.0  # for so long the driver may repair it by itself
LONGEST_PAUSE_SECONDS = 60.0  # between attempts that reach no more nodes than there are
LONGEST_OUTAGE_PAUSE_SECONDS = 5.0  # the same while no node is connected
REFRESH_SECONDS = 30.0
PROBE_SECONDS = 1.0


class Keeper:
    """Gives `ring` a link, and another one when the driver has lost nodes for good."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._lost_since = inf
        self._attempt_at = 0.0
        self._pause = ROUND_SECONDS
        self._refresh_at = 0.0
        self._blind_since = inf
        self._told = ""
        self._tried: Login | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._tend()
            except Exception as error:  # whatever it is, the next round may be better
                if self._tell(f"{type(error).__name__}: {error}"):
                    log.exception("connecting to the ring; trying again until it works")
            await asyncio.sleep(ROUND_SECONDS)

    async def _tend(self) -> None:
        link = self._ring.link
        if link is None:
            await self._begin()
            return
        now = time.monotonic()
        blind = await self._is_blind(link, now)
        lost = link.lost()
        if lost:
            self._lost_since = min(self._lost_since, now)
        elif self._lost_since < inf:
            self._rest()
        gone = now - self._lost_since >= LOST_SECONDS
        anew = await self._has_other_login(link)
        if now < self._attempt_at or not (gone or blind or anew):
            return
        if not (blind or anew) and link.connected() and not await self._some_answer(lost):
            self._attempt_at = now + LOST_SECONDS  # dead nodes are no reason to start again
            return
        await self._renew(link, lost, blind=blind, anew=anew)

    async def _has_other_login(self, link: Link) -> bool:
        """Whether the file says another login than the link's; one not tried yet is tried now."""
        login = await asyncio.to_thread(login_now, self._ring.settings)
        if login is None or login == link.login:
            return False
        if login != self._tried:
            self._tried, self._attempt_at, self._pause = login, 0.0, ROUND_SECONDS
        return True

    async def _is_blind(self, link: Link, now: float) -> bool:
        """Whether the driver has not heard for long of nodes that come and go."""
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_SECONDS
            seeing = await asyncio.to_thread(link.refresh)
            self._blind_since = inf if seeing else min(self._blind_since, now)
        return now - self._blind_since > REFRESH_SECONDS

    def _rest(self) -> None:
        self._lost_since, self._pause, self._told = inf, ROUND_SECONDS, ""
        self._ring.trouble = ""

    async def _begin(self) -> None:
        try:
            link = await asyncio.to_thread(self._ring.new_link)
        except (StoreUnavailable, StartError) as error:
            if self._tell(str(error)):
                log.warning("%s; trying again until it works", error)
            return
        self._ring.use(link)
        self._rest()
        log.info("connected to the ring")

    async def _renew(self, link: Link, lost: Sequence[str], *, blind: bool, anew: bool) -> None:
        try:
            other = await asyncio.to_thread(self._ring.new_link, whole=True)
        except (StoreUnavailable, StartError) as error:
            if self._tell(str(error)):
                log.warning("%s; connecting again until it works", error)
            self._later(link)
            return
        before, after = len(link.connected()), len(other.connected())
        if after > before or ((blind or anew) and after == before):
            self._ring.use(other)
            log.warning(
                "connected to the ring again%s: to %d of its nodes (%s); the driver had kept %d",
                ", by another login" if anew else "",
                after,
                ", ".join(sorted(str(host.address) for host in other.connected())),
                before,
            )
            self._blind_since = inf
            self._rest()
            # The last of what is under way over the former one is given up by then.
            await asyncio.sleep(REQUEST_SECONDS)
            await asyncio.to_thread(self._ring.close_former)
        else:
            missing = lost or other.lost()
            await asyncio.to_thread(other.close)
            if missing and self._tell(f"no connection with {', '.join(missing)}"):
                log.warning("%s; trying again until it works", self._told)
            self._later(link)

    def _later(self, link: Link) -> None:
        longest = LONGEST_PAUSE_SECONDS if link.connected() else LONGEST_OUTAGE_PAUSE_SECONDS
        self._pause = min(2 * self._pause, longest)
        self._attempt_at = time.monotonic() + self._pause

    def _tell(self, reason: str) -> bool:
        """Keep the reason for /ready; whether it is a new one, for the log."""
        self._ring.trouble = reason
        new, self._told = reason != self._told, reason
        return new

    async def _some_answer(self, lost: Iterable[str]) -> bool:
        """Whether any of these nodes takes connections."""
        port = self._ring.settings.port
        answers = await asyncio.gather(*(_answers(address, port) for address in lost))
        return any(answers)


async def _answers(address: str, port: int) -> bool:
    def connect() -> bool:
        try:
            socket.create_connection((address, port), PROBE_SECONDS).close()
        except OSError:
            return False
        return True

    return await asyncio.to_thread(connect)
