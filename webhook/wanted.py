"""How many allocations there should be, as whoever decides it says: for the live page alone.

Consul says where it is: an instance of the service `WEBHOOK_AUTOSCALER`, which answers
`GET /view` (on the cluster, cluster/autoscaling/gate.py). Who does not know has no number.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from webhook.allocations import Alive, CatalogUnavailable, Instance

ANSWER_SECONDS = 1.0
ANSWER_BYTES = 1 << 14
STALE_SECONDS = 30.0
"""After so long without a question nobody goes by the number. Clocks of nodes may differ."""


class _View(msgspec.Struct, frozen=True):
    wanted: float | None
    asked_at: float
    """Seconds since the epoch."""


class Wanted:
    """Asks the first instance in `catalog` that knows a number."""

    def __init__(self, catalog: Alive, now: Callable[[], float] = time.time) -> None:
        self._catalog = catalog
        self._now = now
        self._client = AsyncHTTPClient(force_instance=True, max_body_size=ANSWER_BYTES)

    async def read(self) -> int | None:
        """The number as of the last evaluation; None if nobody says one."""
        try:
            instances = await self._catalog.alive()
        except CatalogUnavailable:
            return None  # the list of allocations has logged it
        views = await asyncio.gather(*map(self._ask, instances))
        return next((int(one.wanted) for one in views if one and one.wanted is not None), None)

    def close(self) -> None:
        """Stop asking."""
        self._client.close()
        self._catalog.close()

    async def _ask(self, instance: Instance) -> _View | None:
        try:
            answer = await self._client.fetch(
                f"http://{instance.address}/view",
                connect_timeout=ANSWER_SECONDS,
                request_timeout=ANSWER_SECONDS,
                follow_redirects=False,
            )
            view = msgspec.json.decode(answer.body, type=_View)
        except (HTTPClientError, OSError, ValueError, msgspec.DecodeError):
            return None
        return view if self._now() - view.asked_at < STALE_SECONDS else None
