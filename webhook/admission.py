"""A limit on the events per second that one process admits."""


class Admission:
    """A token bucket with one second's worth of events.

    An array is admitted whole while any token is left and may take the bucket below zero; it is
    then paid back before anything else is admitted, so the mean rate holds for arrays too.
    `rate` is in events per second; 0 admits everything.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = float(rate)
        self._filled_at: float | None = None

    def admit(self, events: int, now: float) -> bool:
        """Whether `events` may come in at `now` (monotonic seconds); takes their tokens if so."""
        if not self.rate:
            return True
        elapsed = 0.0 if self._filled_at is None else now - self._filled_at
        self._filled_at = now
        self._tokens = min(float(self.rate), self._tokens + elapsed * self.rate)
        if self._tokens <= 0:
            return False
        self._tokens -= events
        return True
