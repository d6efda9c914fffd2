"""What the index of a store's log says: how long the log is, and how much of it was copied.

With a log (WAL mode) SQLite writes to the store's file only when it copies the log into it. It
records in the log's index, the `-shm` file, how far it intends to copy, and afterwards how far it
came. Every connection does so, including a shell's. A log that was copied completely and that
nobody reads starts again with the next write: from its first page, with another pair of salts.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple, Self

from webhook.store.sqlite.files import SHM, beside

# The places of the numbers: sqlite.org/walformat.html, 2.1.
_HEAD = struct.Struct("=8xI?xHI12x8s8x48xI28xI")
_COPY_BYTES = 48  # the first so many bytes are there twice, and differ while they are written
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


class Index(NamedTuple):
    """What it says at a moment."""

    commits: int
    """Raised by one with each COMMIT that wrote something."""
    page_bytes: int
    frames: int
    """Pages that the log holds."""
    salts: bytes
    """Another pair each time the log starts again."""
    copied: int
    """Of the frames, those that are in the store's file too."""
    to_be_copied: int
    """More than those while the log is being copied, or if that was interrupted."""

    @property
    def settled(self) -> bool:
        """Whether no copying of the log is under way or was interrupted."""
        return self.copied == self.to_be_copied

    @property
    def least_log_bytes(self) -> int:
        """What the log's file must have for its frames."""
        if not self.frames:
            return 0
        return _LOG_HEADER_BYTES + self.frames * (_FRAME_HEADER_BYTES + self.page_bytes)

    @property
    def last_frame_at(self) -> int:
        """Where the log's last frame begins; 0 if the log has none."""
        if not self.frames:
            return 0
        return _LOG_HEADER_BYTES + (self.frames - 1) * (_FRAME_HEADER_BYTES + self.page_bytes)

    def may_have_copied_since(self, before: "Index") -> bool:
        """Whether what was copied of the log can be the reason that the store's file is another.

        That the log began anew is none. It is where nothing was left to be copied of the old one,
        nothing was copied of the new one, and no COMMIT can have made the old one longer meanwhile,
        because the new one has them all: none, or the one by which it began.
        """
        if self.salts == before.salts:
            return (self.copied, self.to_be_copied) != (before.copied, before.to_be_copied)
        return not (
            before.copied == before.frames
            and self.copied == self.to_be_copied == 0
            and self.commits - before.commits == (1 if self.frames else 0)
        )


class LogIndex:
    """The index of a log that SQLite has open. Costs some microseconds a reading.

    It is kept open: where a process closes a file, it loses SQLite's locks on it
    (sqlite.org/howtocorrupt.html, 2.2). So `close` only after SQLite has closed it.
    """

    def __init__(self, file: int) -> None:
        """`file` is a descriptor. Use `of`."""
        self._file = file

    @classmethod
    def of(cls, path: Path) -> Self:
        """That of the store at `path`. Raises OSError if there is none."""
        return cls(os.open(beside(path, SHM), os.O_RDONLY | os.O_CLOEXEC))

    def read(self) -> Index | None:
        """None if it can't be read, and while SQLite writes it."""
        try:
            head = os.pread(self._file, _HEAD.size, 0)
            commits, known, page, frames, salts, copied, to_be_copied = _HEAD.unpack(head)
        except (OSError, struct.error):
            return None
        if head[:_COPY_BYTES] != head[_COPY_BYTES : 2 * _COPY_BYTES]:
            return None
        return Index(commits, page, frames if known else 0, salts, copied, to_be_copied)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
