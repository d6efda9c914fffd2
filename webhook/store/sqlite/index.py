"""What the index of a store's log says: how long the log is, and how much of it was copied."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from webhook.store.sqlite.files import SHM, WAL, beside

_INDEX_HEAD = struct.Struct("=12x?xHI12x8s")  # sqlite.org/walformat.html, 2.1
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


@dataclass(frozen=True, slots=True)
class LogState:
    """What the index says of the log at a moment."""

    frames: int
    """Pages that it holds."""
    least_bytes: int
    """What the log's file must have for them."""
    salts: bytes
    """Another pair each time that the log begins anew."""


class LogIndex:
    """The index of a log that SQLite has open. Costs some microseconds a question.

    It is kept open: where a process closes a file, it loses SQLite's locks on it
    (sqlite.org/howtocorrupt.html, 2.2). So `close` only after SQLite has closed it.
    """

    def __init__(self, log: Path, index: int) -> None:
        """`index` is a descriptor. Use `of`."""
        self._log = log
        self._index = index

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """That of the store at `path`; None where there is none."""
        try:
            index = os.open(beside(path, SHM), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        return cls(beside(path, WAL), index)

    def state(self) -> LogState | None:
        """None where it can't be read."""
        try:
            head = os.pread(self._index, _INDEX_HEAD.size, 0)
            known, page, frames, salts = _INDEX_HEAD.unpack(head)
        except (OSError, struct.error):
            return None
        if not (known and frames):
            return LogState(0, 0, salts)
        return LogState(frames, _LOG_HEADER_BYTES + frames * (_FRAME_HEADER_BYTES + page), salts)

    def is_log_cut(self) -> bool:
        """Whether the log is shorter than it must be. One that is not there is not meant."""
        state = self.state()
        try:
            size = self._log.stat().st_size
        except OSError:
            return False
        # SQLite cuts it back itself, but says before that nothing is in it.
        return state is not None and size < state.least_bytes and self.state() == state

    def close(self) -> None:
        """Let go of the index."""
        os.close(self._index)
