"""How many events per second this process alone acknowledges, from its running total."""

from webhook.window import RATE_SECONDS, Window

_KEPT_SECONDS = RATE_SECONDS + 1  # the running second is not over yet, and not part of the rate


class RecentRate:
    """The mean rate of the last five whole seconds, by a clock that never runs backwards.

    It is told the running total whenever that may have changed, so it costs a group of events as
    much as a single one, and nothing in between.
    """

    def __init__(self) -> None:
        self._total = 0
        self._counts: dict[int, int] = {}

    def note(self, total: int, now: float) -> None:
        """At `now` (monotonic seconds) there have been `total` events since the start."""
        second = int(now)
        if second not in self._counts:
            oldest = second - _KEPT_SECONDS
            self._counts = {at: count for at, count in self._counts.items() if at > oldest}
            self._counts[second] = 0
        self._counts[second] += total - self._total
        self._total = total

    def events_per_second(self, now: float) -> float:
        """The rate at `now` (monotonic seconds)."""
        return Window.ending_at(now, _KEPT_SECONDS).events_per_second(self._counts)
