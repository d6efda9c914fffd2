"""A stop that is heard."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave(number: int, _: FrameType | None = None) -> NoReturn:
    """Hear a stop as an exception, so that what was begun is put in order; see `run_main`."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def on_a_stop(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have it called; not for signals that are ignored, as nohup leaves them."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def stops_put_off() -> Iterator[None]:
    """A stop that comes meanwhile is heard at the end: for what can't be ended half begun."""
    came: list[int] = []
    with stops_to(lambda number, _: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def stops_to(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have `handler` called meanwhile."""
    before = {number: signal.getsignal(number) for number in STOPS}
    on_a_stop(handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
