"""Signals that ask for an end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GIVE_UP = 3


class Interrupts:
    """Counts the signals that ask for an end; the third one raises KeyboardInterrupt.

    Before the load has begun there is nothing to wait for, or to judge: `heed` raises it then.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._on_signal) for number in self.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def heed(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self.count:
            raise KeyboardInterrupt

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == GIVE_UP:  # once: what it ends may be cleaned up undisturbed
            raise KeyboardInterrupt
