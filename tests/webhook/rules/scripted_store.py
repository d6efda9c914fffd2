"""A store in memory whose writes end as a script says."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from webhook.events import Event
from webhook.store.contract import OutcomeUnknown, StoreUnavailable


class End(Enum):
    """How a write ends."""

    STORED = "stored"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    BROKEN = "broken"
    """With an error that no store should raise."""
    CANCELLED = "cancelled"
    """Never by itself."""


@dataclass(frozen=True)
class Act:
    """What the script says of a write."""

    end: End
    seconds: float


@dataclass(eq=False)
class Flight:
    """A write, as the store saw it. `began` and `ended` are places in the order of all things."""

    events: tuple[Event, ...]
    began: int
    began_at: float
    ended: float = math.inf
    ended_at: float = math.inf
    end: End | None = None


class ScriptedStore:
    """Writes as `script` says, and well and quickly past its end.

    `tick` gives the next place in the order of all things, `now` monotonic seconds; `landed` is
    called as a write ends.
    """

    reads = 0

    def __init__(
        self,
        lanes: int,
        group_seconds: int,
        script: Iterable[Act],
        tick: Callable[[], int],
        now: Callable[[], float],
        landed: Callable[[Flight], None],
    ) -> None:
        self.lanes = lanes
        self.group_seconds = group_seconds
        self.flights: list[Flight] = []
        self._script = iter(script)
        self._tick = tick
        self._now = now
        self._landed = landed

    async def open(self) -> None:
        """See the contract."""

    async def write(self, batch: Sequence[Event]) -> None:
        """See the contract."""
        flight = Flight(tuple(batch), self._tick(), self._now())
        self.flights.append(flight)
        act = next(self._script, Act(End.STORED, 0.001))
        try:
            await asyncio.sleep(act.seconds)
            flight.end = act.end
        except asyncio.CancelledError:
            flight.end = End.CANCELLED
            raise
        finally:
            flight.ended, flight.ended_at = self._tick(), self._now()
            self._landed(flight)
        if act.end is End.REFUSED:
            raise StoreUnavailable("as the script says")
        if act.end is End.UNKNOWN:
            raise OutcomeUnknown("as the script says")
        if act.end is End.BROKEN:
            raise ValueError("as the script says")

    async def counts_since(self, second: int) -> Mapping[int, int]:
        """See the contract."""
        raise StoreUnavailable(f"nothing is counted here, not since {second} either")

    async def health(self) -> None:
        """See the contract."""

    async def close(self) -> None:
        """See the contract."""
