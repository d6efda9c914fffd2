"""Deletes the events that are past their retention, a few at a time, together with their counts."""

import logging
import sqlite3
from collections.abc import Callable

from webhook.clock import MICROSECONDS
from webhook.store.sqlite.elapsed import CONFIRM_SECONDS, ElapsedTime

log = logging.getLogger(__package__)

_NEWEST = "SELECT received_at FROM events ORDER BY id DESC LIMIT 1"
_OLDEST = "SELECT received_at FROM events ORDER BY id LIMIT 1"
# Counts go with the events, event by event, so that they are the same number at every moment.
_UNCOUNT = """
UPDATE counts SET events = events - gone.number FROM (
    SELECT received_at / 1000000 AS second, count(*) AS number FROM events
    WHERE received_at < :before AND id <= (
        SELECT max(id) FROM (SELECT id FROM events ORDER BY id LIMIT :step)
    ) GROUP BY 1
) AS gone WHERE counts.second = gone.second
"""
_DELETE_COUNTS = "DELETE FROM counts WHERE second < ? AND events <= 0"
_DELETE_EVENTS = """
DELETE FROM events WHERE received_at < :before AND id <= (
    SELECT max(id) FROM (SELECT id FROM events ORDER BY id LIMIT :step)
)
"""


class Expiry:
    """Of events older than `retention_seconds`; `elapsed` says by which time.

    `now` is in Unix seconds, `monotonic` in seconds since any moment.
    """

    def __init__(
        self,
        retention_seconds: int,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._retention = retention_seconds
        self._now = now
        self._monotonic = monotonic
        self._elapsed = ElapsedTime(None, now(), monotonic())
        self.held_back = False
        """Whether only the clock would expire something, and it is not believed."""

    def begin(self, db: sqlite3.Connection) -> None:
        """Learn from what is stored which time it must be at least."""
        newest = db.execute(_NEWEST).fetchone()
        received = newest[0] / MICROSECONDS if newest else None
        self._elapsed = ElapsedTime(received, self._now(), self._monotonic())

    def expire(self, db: sqlite3.Connection, step: int) -> None:
        """Delete expired events among the `step` oldest, within a transaction of the caller's."""
        oldest = db.execute(_OLDEST).fetchone()
        wall = self._now()
        before = int(self._elapsed.now(wall, self._monotonic())) - self._retention
        if oldest is None or oldest[0] >= before * MICROSECONDS:
            self._note_held_back(oldest[0] / MICROSECONDS if oldest else wall, wall)
            return
        bounds = {"before": before * MICROSECONDS, "step": step}
        db.execute(_UNCOUNT, bounds)
        db.execute(_DELETE_COUNTS, (before,))
        db.execute(_DELETE_EVENTS, bounds)

    def _note_held_back(self, oldest: float, wall: float) -> None:
        """Log once that the clock has jumped and nothing expires because of it."""
        held = self._elapsed.held and oldest < wall - self._retention
        if held and not self.held_back:
            log.warning(
                "the clock is ahead of the time that has passed since the newest event: nothing "
                "expires until it has kept step for %d minutes",
                CONFIRM_SECONDS / 60,
            )
        self.held_back = held
