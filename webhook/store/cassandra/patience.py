"""What a ring refuses for a moment, as while one of its nodes restarts, is asked again.

But only where it worked until now: in an outage clients get the refusal at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from webhook.store.contract import StoreUnavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.1


async def patiently(attempt: Callable[[], Awaitable[T]], proven: Callable[[], bool]) -> T:
    """What `attempt` returns, tried again while it is refused and `proven`.

    Raises StoreUnavailable.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await attempt()
        except StoreUnavailable as error:
            if not proven() or time.monotonic() > deadline:
                raise
            log.info("the ring refuses; trying again: %s", error)
        await asyncio.sleep(PAUSE_SECONDS)
