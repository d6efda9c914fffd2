"""A stream for people, who may stop reading it: nothing ever waits for them."""

import os
import select
import stat
from contextlib import suppress
from math import inf
from select import PIPE_BUF
from typing import TextIO


class PatientStream:
    """Writes what can be written now, and drops the rest.

    A pipe that nobody empties is full at some time, and so is a terminal that Ctrl-S holds.
    """

    def __init__(self, stream: TextIO) -> None:
        self.terminal = stream.isatty()
        self._number = stream.fileno()
        self._own = _not_waiting(self._number, self.terminal)
        self._ready = select.poll()
        self._ready.register(self._target, select.POLLOUT)

    @property
    def columns(self) -> float:
        """The terminal's width; infinite if it is not known."""
        with suppress(OSError):
            return os.get_terminal_size(self._number).columns or inf
        return inf

    def write(self, text: str) -> None:
        """Write the text, of which no more than PIPE_BUF counts, or none of it. Raises OSError."""
        data = text.encode(errors="backslashreplace")[:PIPE_BUF]
        if self._ready.poll(0):
            with suppress(BlockingIOError):
                os.write(self._target, data)

    def close(self) -> None:
        """The stream itself stays open."""
        if self._own is not None:
            os.close(self._own)
            self._own = None

    @property
    def _target(self) -> int:
        return self._number if self._own is None else self._own


def _not_waiting(number: int, terminal: bool) -> int | None:
    """The same pipe or terminal, opened anew; None if it is neither, or can't be opened.

    A terminal that has room for a few characters is ready, and yet a line would wait for the rest.
    The flag O_NONBLOCK on the stream itself would be the shell's, too.
    """
    if not terminal and not stat.S_ISFIFO(os.fstat(number).st_mode):
        return None
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        return os.open(f"/proc/self/fd/{number}", flags)
    except OSError:
        return None
