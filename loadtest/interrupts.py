"""Signals that ask for an end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tools.stops import STOPS, leave, stops_to

GIVE_UP = 3


class Interrupts:
    """Counts the signals that ask for an end; the third one ends it as an exception.

    Before the load has begun there is nothing to wait for, or to judge: `heed` does the same then.
    Signals that are ignored, as nohup leaves them, stay so.
    """

    SIGNALS = STOPS

    def __init__(self) -> None:
        self.count = 0
        self._last: int = signal.SIGINT

    @contextmanager
    def counted(self) -> Iterator[None]:
        with stops_to(self._on_signal):
            yield

    def heed(self) -> None:
        """Leave, as the last signal wants it, if one has come."""
        if self.count:
            leave(self._last)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self._last = number
        if self.count == GIVE_UP:  # once: what it ends may be cleaned up undisturbed
            leave(number)
