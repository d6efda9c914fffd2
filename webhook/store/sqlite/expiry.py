"""Deletes the events that are past their retention, a few at a time, together with their counts."""

import logging
import sqlite3
from collections.abc import Callable

from webhook.clock import MICROSECONDS
from webhook.store.sqlite.elapsed import CONFIRM_SECONDS, SLACK_SECONDS, ElapsedTime

log = logging.getLogger(__package__)

# The time believed last, beside the row of the probe: a receiver that starts under a clock that is
# ahead must not take that clock's own events for a proof of it.
_KNOWN = "SELECT probed_at FROM probe WHERE id = 2"
_KNOW = "INSERT INTO probe VALUES (2, :at) ON CONFLICT (id) DO UPDATE SET probed_at = :at"
KNOW_SECONDS = 30.0
"""How often it is written; less than the slack, so that a restart costs no hour."""
_NEWEST = "SELECT received_at FROM events ORDER BY id DESC LIMIT 1"
# An event from under a clock that was behind is younger than it says.
_BEHIND = """coalesce(
    (SELECT max(seconds) FROM clock_steps WHERE events.id > after_id AND events.id <= until_id), 0
) * 1000000"""
_FIRST = f"""
SELECT id, received_at, {_BEHIND} FROM events WHERE id > ? ORDER BY id LIMIT 1
"""  # noqa: S608 - nothing of it comes from outside
_AMONG_FIRST = f"""
received_at + {_BEHIND} < :before AND typeof(received_at) = 'integer' AND id > :after AND id <= (
    SELECT max(id) FROM (SELECT id FROM events WHERE id > :after ORDER BY id LIMIT :step)
)
"""  # noqa: S608 - the same
# Counts go with the events, event by event, so that they are the same number at every moment.
_UNCOUNT = f"""
UPDATE counts SET events = events - gone.number FROM (
    SELECT received_at / 1000000 AS second, count(*) AS number FROM events
    WHERE {_AMONG_FIRST} GROUP BY 1
) AS gone WHERE counts.second = gone.second
"""  # noqa: S608 - nothing of it comes from outside
_DELETE_COUNTS = "DELETE FROM counts WHERE second < ? AND events <= 0"
_LAST_ID = "SELECT coalesce(max(id), 0) FROM events"
_STEP_AHEAD = "INSERT OR REPLACE INTO clock_steps (until_id, after_id, seconds) VALUES (?, ?, ?)"
_NO_STEP = "DELETE FROM clock_steps WHERE until_id = ?"
_OLD_STEPS = "DELETE FROM clock_steps WHERE until_id < (SELECT min(id) FROM events)"
_DELETE_EVENTS = f"DELETE FROM events WHERE {_AMONG_FIRST}"  # noqa: S608 - the same
MOST_PASSED = 100  # events at once
PASSED_SECONDS = 3600.0
"""How long they are: then they are looked at again, and may have expired."""


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
        self._known = self._keeping = 0.0
        """The time believed, as the store has it, and as it will with the transaction's end."""
        self._notes: list[tuple[str, tuple[int, ...]]] = []
        """Statements on the clock's steps that are not in the store yet."""
        self._passed = 0
        """The id up to which what is left is no reason to wait: see `_oldest`."""
        self._passed_since = monotonic()
        self._under_clock_since = 0
        """The last event before those under the clock as it is set now."""
        self._step: int | None = None
        """Of the clock's last step ahead, the last event before it; None once it was set back."""
        self.held_back = False
        """Whether only the clock would expire something, and it is not believed."""

    def begin(self, db: sqlite3.Connection) -> None:
        """Learn from what is stored which time it must be at least."""
        if known := db.execute(_KNOWN).fetchone():
            at: float | None = float(known[0])
        else:  # a store from before that was written
            newest = db.execute(_NEWEST).fetchone()
            at = newest[0] / MICROSECONDS if newest else None
        self._elapsed = ElapsedTime(at, self._now(), self._monotonic())
        self._under_clock_since = db.execute(_LAST_ID).fetchone()[0]

    def committed(self) -> None:
        """What `expire` wrote down in the caller's transaction is in the store.

        Without this it is written again, with the next one: a clock steps but once.
        """
        self._notes.clear()
        self._known = self._keeping

    def expire(self, db: sqlite3.Connection, step: int, *, thorough: bool = False) -> None:
        """Delete expired events among the `step` oldest, within a transaction of the caller's.

        The oldest is the one that came first, and decides whether there is anything to do. If this
        is `thorough`, all of the step are looked at: a clock that was wrong may have dated some
        after those that came later.
        """
        wall = self._now()
        before = int(self._elapsed.now(wall, self._monotonic())) - self._retention
        self._note_step(db, self._elapsed.stepped)
        self._write_notes(db)
        dated, behind = self._oldest(db, wall) or (int(wall * MICROSECONDS), 0)
        due = dated + behind < before * MICROSECONDS
        if not due:
            self._note_held_back(dated / MICROSECONDS, wall)
        if not (due or thorough):
            return
        bounds = {"before": before * MICROSECONDS, "after": self._passed, "step": step}
        db.execute(_UNCOUNT, bounds)
        db.execute(_DELETE_COUNTS, (before,))
        db.execute(_DELETE_EVENTS, bounds)

    def _oldest(self, db: sqlite3.Connection, wall: float) -> tuple[int, int] | None:
        """Of the event that came first, when it was received, and how far its clock was behind.

        Events that the clock is not at yet are left out: they would hold back all that came after
        them, and so would a row by hand without a time.
        """
        now = self._monotonic()
        if now >= self._passed_since + PASSED_SECONDS:
            self._passed, self._passed_since = 0, now
        for _ in range(MOST_PASSED):
            first = db.execute(_FIRST, (self._passed,)).fetchone()
            if first is None:
                return None
            number, received_at, behind = first
            if isinstance(received_at, int) and received_at <= wall * MICROSECONDS:
                return received_at, int(behind)
            self._passed = number
        return None

    def _note_step(self, db: sqlite3.Connection, seconds: float) -> None:
        """Note that the clock was set ahead: it may have been behind until then.

        That is so for this process's events alone, since the clock was set before. If it is set
        back, it was right until then.
        """
        if abs(seconds) <= SLACK_SECONDS:
            return
        last = db.execute(_LAST_ID).fetchone()[0]
        if seconds > 0:
            log.warning(
                "the clock was set ahead by %d s: what came in before leaves the count earlier",
                seconds,
            )
            if last > self._under_clock_since:
                step = (last, self._under_clock_since, int(seconds))
                self._notes.append((_STEP_AHEAD, step))
                self._step = last
        elif self._step is not None:
            self._notes.append((_NO_STEP, (self._step,)))
            self._step = None
        self._notes.append((_OLD_STEPS, ()))
        self._under_clock_since = last

    def _write_notes(self, db: sqlite3.Connection) -> None:
        """Write down the clock's steps, and the time that is believed."""
        for statement, values in self._notes:
            db.execute(statement, values)
        believed = self._elapsed.believed
        if abs(believed - self._known) >= KNOW_SECONDS:
            db.execute(_KNOW, {"at": believed})
            self._keeping = believed

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
