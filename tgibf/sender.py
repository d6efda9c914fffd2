"""Sends events and records the outcome of each: the part that every mode shares."""

from collections.abc import Callable
from time import monotonic

from tgibf.client import Client, Post
from tgibf.events import Requests
from tgibf.ledger import Ledger
from tgibf.outcome import Ending
from tgibf.series import Series
from tgibf.settings import Settings
from tgibf.tally import Tally
from tgibf.target import Endpoint
from tgibf.turns import Turns


class Sender:
    """A client whose endings go to a tally and, if any, a ledger and a series."""

    def __init__(
        self,
        settings: Settings,
        endpoints: tuple[Endpoint, ...],
        tally: Tally,
        ledger: Ledger | None,
        series: Series | None,
        *,
        max_connections: int,
        warn: Callable[[str], None],
    ) -> None:
        self.tally = tally
        self.batch = settings.batch
        self.client = Client(
            endpoints,
            self._settle,
            keep_alive=settings.keep_alive,
            timeout=settings.timeout,
            max_connections=max_connections,
        )
        self._ledger = ledger
        self._series = series
        self._warn = warn
        self._held = False
        self._first_sent: float | None = None
        self._last_settled = 0.0
        self._turns = Turns(endpoints, failover=settings.failover)
        self._requests = Requests(
            endpoints,
            batch=settings.batch,
            keep_alive=settings.keep_alive,
            seed=settings.seed,
            run=ledger.run if ledger else None,
            key=settings.key,
        )

    def send(self, events: int, due: float | None = None) -> None:
        """Start one POST of that many events, at most a batch. Never waits.

        `due` is the time on `time.monotonic` from which latency counts, if not from now.
        """
        if self._first_sent is None:
            self._first_sent = monotonic()
        self.tally.sent += events
        if self._series is not None:
            self._series.second.sent += events
        self.client.post(self._requests.draw(events, self._turns.take()), due)

    def lag(self, seconds: float) -> None:
        """Note how late an event is started."""
        self.tally.lag(seconds)
        if self._series is not None:
            self._series.second.lag(seconds)

    @property
    def has_room(self) -> bool:
        """Whether a POST may start without more connections than the limit allows."""
        return self.client.in_flight < self.client.max_connections

    @property
    def seconds(self) -> float:
        """Seconds from the first event to the last outcome so far."""
        return 0.0 if self._first_sent is None else self._last_settled - self._first_sent

    def expire(self) -> None:
        """End the POSTs whose time is over."""
        self.client.expire(monotonic())

    async def wait_for_room(self) -> None:
        """Wait until `has_room`; the first time, warn that events are held back."""
        if self.has_room:
            return
        if not self._held:
            self._held = True
            self._warn(
                f"only {self.client.max_connections:,} connections fit in the limit on"
                " open files (ulimit -n): the others wait for their turn"
            )
        await self.client.wait_below(self.client.max_connections)

    async def wait_for_all(self) -> None:
        """Wait until nothing is in flight; each POST ends within its timeout."""
        await self.client.wait_below(1)

    def _settle(self, post: Post, ending: Ending) -> None:
        request = post.request
        self._last_settled = now = monotonic()
        self._turns.settle(request.endpoint, failed=ending.connection_failed)
        self.tally.settle(ending, request.events, now - post.due)
        if self._ledger is not None:
            self._ledger.settle(request.first, request.events, ending.outcome)
        if self._series is not None:
            self._series.second.settle(ending, request.events, now - post.due)
