"""Whether somebody else has written into a store's files at their places, as `cp` over them does.

With a log (WAL mode) SQLite writes to the store's file only when it copies the log into it, and
says so in the log's index, the `-shm` file: how far it means to come, before, and how far it came,
after. Every connection does, that of a shell too. So a store's file that changed while its index
did not was written by something that is not SQLite. sqlite.org/walformat.html has the places of the
numbers.
"""

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from webhook.store.sqlite.files import SHM, WAL, beside
from webhook.store.sqlite.header import PAGE_BYTES, counter_in

_INDEX_BYTES = 136
_IS_INITIALIZED = 12
_PAGE_SIZE = slice(14, 16)
_FRAMES = slice(16, 20)
_SALTS = slice(32, 40)
_COPIED = slice(96, 100)
_TO_BE_COPIED = slice(128, 132)
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_LOG_SALTS = slice(16, 24)


@dataclass(frozen=True, slots=True)
class Contents:
    """What can be seen of a store's contents at a moment, without SQLite."""

    size: int
    """Bytes of the store's file."""
    first_page: bytes
    index: bytes
    """The head of the log's index."""
    log_salts: bytes
    """As the log itself has them; another pair each time that it begins anew."""
    last_frame: bytes
    """The head of the log's last frame, as its index has it; empty where it has none."""
    last_frame_before: bytes
    """What is at the place of that which was the last frame at the look before."""

    @property
    def counter(self) -> int:
        """How often the store's first page was changed; it never falls."""
        return counter_in(self.first_page)

    @property
    def settled(self) -> bool:
        """Whether no copying of the log is under way, or was broken off."""
        return self.index[_COPIED] == self.index[_TO_BE_COPIED]

    @property
    def progress(self) -> tuple[bytes, ...]:
        """Of the copying: another one after each."""
        return tuple(self.index[place] for place in (_SALTS, _COPIED, _TO_BE_COPIED))

    @property
    def salts(self) -> bytes:
        """As the index has them."""
        return self.index[_SALTS]

    @property
    def last_frame_at(self) -> int:
        """Where the log's last frame begins; 0 where the log has none."""
        (frames,) = struct.unpack("=I", self.index[_FRAMES])
        (page,) = struct.unpack("=H", self.index[_PAGE_SIZE])
        if not (self.index[_IS_INITIALIZED] and frames):
            return 0
        return int(_LOG_HEADER_BYTES + (frames - 1) * (_FRAME_HEADER_BYTES + page))


def overwritten(before: Contents, now: Contents) -> str | None:
    """What was overwritten between two looks, by the end of its name; None if nothing was."""
    if now.last_frame_at and now.log_salts != now.salts:
        return WAL
    if (
        before.last_frame
        and before.salts == now.salts
        and now.last_frame_before != before.last_frame
    ):
        return WAL
    is_other = (now.size, now.first_page) != (before.size, before.first_page)
    unexplained = before.settled and now.progress == before.progress and is_other
    return "" if unexplained or now.counter < before.counter else None


class Watch:
    """The files of a store that SQLite has open, looked at now and then, by one thread at a time.

    It keeps them open itself: where a process closes a file, it loses all its locks on it, those of
    SQLite too (sqlite.org/howtocorrupt.html, 2.2). So `close` only after SQLite has closed them.
    """

    def __init__(self, path: Path, store: int, index: int) -> None:
        """`store` and `index` are descriptors. Use `on`."""
        self._path = path
        self._store = store
        self._index = index
        self._before = self._contents(None)

    @classmethod
    def on(cls, path: Path) -> Self | None:
        """Of the files that are there now; None where one is missing."""
        try:
            index = os.open(beside(path, SHM), os.O_RDONLY | os.O_CLOEXEC)
            store = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None  # nothing is closed: see above
        return cls(path, store, index)

    def look(self) -> str | None:
        """Which file was overwritten since the last look, in words; None if none was."""
        now = self._contents(self._before)
        if now is None:
            return None
        before, self._before = self._before, now
        suffix = overwritten(before, now) if before is not None else None
        if suffix is None:
            return None
        return f"{beside(self._path, suffix)} was overwritten"

    @property
    def counter(self) -> int | None:
        """The store's, at the last look; None while the log is just being copied into it."""
        return self._before.counter if self._before is not None and self._before.settled else None

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._store)
        os.close(self._index)

    def _contents(self, before: Contents | None) -> Contents | None:
        """None while they are being written."""
        try:
            index = os.pread(self._index, _INDEX_BYTES, 0)
            if len(index) < _INDEX_BYTES:
                return None
            first_page = os.pread(self._store, PAGE_BYTES, 0)
            size = os.fstat(self._store).st_size
            bare = Contents(size, first_page, index, b"", b"", b"")
            now = self._with_log(bare, before)
            again = os.pread(self._index, _INDEX_BYTES, 0)
        except OSError:
            return None
        return now if index == again else None

    def _with_log(self, bare: Contents, before: Contents | None) -> Contents:
        """What is in the log, too. SQLite has no locks on it, so it may be closed."""
        with beside(self._path, WAL).open("rb", buffering=0) as log:
            file = log.fileno()
            return replace(
                bare,
                log_salts=os.pread(file, _LOG_HEADER_BYTES, 0)[_LOG_SALTS],
                last_frame=_frame(file, bare),
                last_frame_before=b"" if before is None else _frame(file, before),
            )


def _frame(log: int, contents: Contents) -> bytes:
    """The head of what is at the place of the last frame; empty where there is none."""
    if not contents.last_frame_at:
        return b""
    return os.pread(log, _FRAME_HEADER_BYTES, contents.last_frame_at)
