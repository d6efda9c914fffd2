"""A stop that is heard."""

import signal
import sys
from types import FrameType
from typing import NoReturn


def leave(number: int, _: FrameType | None = None) -> NoReturn:
    """Hear a stop as an exception, so that what was begun is put in order; see `run_main`."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
