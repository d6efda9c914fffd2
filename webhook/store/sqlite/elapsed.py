"""Which time expiry uses: the time that has passed, not the time that a clock shows.

A clock may jump ahead by days for a moment, and a machine may boot in 1970 and be corrected later.
A store that believed the clock would delete its events. So the time for expiry runs with the
monotonic clock and never faster. If the wall clock is ahead of it, as after a jump or a night
without a receiver, nothing more expires until the clock has kept step for an hour. If the wall
clock is behind, expiry uses the wall clock, and goes on from there: what a clock said that was set
back is not believed the next time either.
"""

SLACK_SECONDS = 60.0
"""Clocks drift, and are mended in small steps: so much at once is believed."""
CONFIRM_SECONDS = 3600.0
"""How long a clock that has jumped ahead must keep step to be believed."""


class ElapsedTime:
    """Unix time, as far as it is believed. `wall` and `monotonic` are in seconds."""

    def __init__(self, known: float | None, wall: float, monotonic: float) -> None:
        """`known` is a time that it is at least, as the one believed last; None if nobody knows."""
        self._believed = wall if known is None else min(wall, known)
        self._at = monotonic
        self._offset = 0.0
        self._ahead_since: float | None = None
        self._offset_before: float | None = None
        self.stepped = 0.0
        """By how many seconds the wall clock was set between the last two calls of `now`."""

    @property
    def believed(self) -> float:
        """The time to go by as of the last call of `now`, for whoever begins after this one."""
        return self._believed

    @property
    def held(self) -> bool:
        """Whether the wall clock is ahead of what is believed, and not confirmed yet."""
        return self._ahead_since is not None

    def now(self, wall: float, monotonic: float) -> float:
        """The time to go by. Call it every few seconds: it sees a step between two calls."""
        self._believed += monotonic - self._at
        self._at = monotonic
        offset = wall - monotonic
        before, self._offset_before = self._offset_before, offset
        self.stepped = offset - before if before is not None else 0.0
        if wall <= self._believed + SLACK_SECONDS:
            self._ahead_since = None
            self._believed = wall
            return wall
        stepped = abs(offset - self._offset) > SLACK_SECONDS
        if self._ahead_since is None or stepped:
            self._ahead_since, self._offset = monotonic, offset
        if monotonic - self._ahead_since >= CONFIRM_SECONDS:
            self._ahead_since = None
            self._believed = wall
            return wall
        return self._believed
