"""The contract between the receiver and a store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from webhook.events import Event


class StoreUnavailable(Exception):  # noqa: N818 - a state, which heals
    """The store can't do it now, and has certainly not done it. It may be asked again."""


class OutcomeUnknown(Exception):  # noqa: N818 - not an error: nobody knows
    """A write began and its outcome can't be learned: the events may or may not be stored."""


class StartError(Exception):
    """The store can't be used at all; the message says why and what to do about it."""


class Store(Protocol):
    """Keeps events and their counts per second of receipt, together or not at all."""

    lanes: int
    """How many writes may be in flight at once."""

    group_seconds: int
    """A write has events of one span of so many seconds of receipt; 0 means no such bound."""

    @property
    def reads(self) -> int:
        """Statements sent so far in order to count."""

    async def open(self) -> None:
        """Get ready. Raises StartError if no waiting will help."""

    async def write(self, batch: Sequence[Event]) -> None:
        """Store all of `batch`, in order of receipt, durably; returning is the promise.

        What was received minutes ago may be refused: readers may have closed that minute's books.
        Raises StoreUnavailable if none of it is stored, OutcomeUnknown if nobody can tell.
        """

    async def counts_since(self, second: int) -> Mapping[int, int]:
        """Events stored per second of receipt, from `second` (Unix time) on.

        Holds every write that returned before this call. Raises StoreUnavailable.
        """

    async def health(self) -> None:
        """Return if events can be written and counted. Raises StoreUnavailable."""

    async def close(self) -> None:
        """Let go of everything. Writes that returned stay."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure of a store's own, as Prometheus shows it."""

    name: str
    meaning: str
    value: float


@runtime_checkable
class Gauged(Protocol):
    """A store that has such figures."""

    def gauges(self) -> Iterable[Gauge]:
        """Those that are known now. Never waits."""


@runtime_checkable
class BoundsBodies(Protocol):
    """A store whose writes may not be of any size."""

    def largest_body(self, array_events: int) -> int:
        """Bytes of the largest body of a POST, of at most so many events, that it can store."""
