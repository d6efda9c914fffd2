"""Whether somebody else has overwritten a store's files in place, for example with `cp`.

SQLite writes to the store's file only when it copies the log into it, and says so in the log's
index (see `index`). So if a store's file has changed and its index has not, something other than
SQLite wrote it.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from webhook.store.sqlite.files import WAL, beside
from webhook.store.sqlite.header import LOG_SALTS, MARK_BYTES, PAGE_BYTES, counter_in, mark_of
from webhook.store.sqlite.index import Index, LogIndex

_FRAME_HEADER_BYTES = 24


@dataclass(frozen=True, slots=True)
class Contents:
    """What can be seen of a store's contents at a moment, without SQLite."""

    size: int
    """Bytes of the store's file."""
    head: bytes
    """The first `MARK_BYTES` of it."""
    index: Index
    log_salts: bytes
    """As in the log itself; another pair each time it starts again."""
    last_frame: bytes
    """The head of the log's last frame, as its index has it; empty if it has none."""
    last_frame_before: bytes
    """What is now where the last frame was at the previous look."""

    @property
    def first_page(self) -> bytes:
        """The store's."""
        return self.head[:PAGE_BYTES]

    @property
    def counter(self) -> int:
        """How often the store's first page was changed; it never falls."""
        return counter_in(self.first_page)


def overwritten(before: Contents, now: Contents) -> str | None:
    """What was overwritten between two looks, by the end of its name; None if nothing was."""
    if now.index.frames and now.log_salts != now.index.salts:
        return WAL
    if (
        before.last_frame
        and before.index.salts == now.index.salts
        and now.last_frame_before != before.last_frame
    ):
        return WAL
    is_other = (now.size, now.first_page) != (before.size, before.first_page)
    explained = not before.index.settled or now.index.may_have_copied_since(before.index)
    return "" if (is_other and not explained) or now.counter < before.counter else None


class Watch:
    """The files of a store that SQLite has open, looked at now and then, by one thread at a time.

    It keeps them open itself: where a process closes a file, it loses all its locks on it, those of
    SQLite too (sqlite.org/howtocorrupt.html, 2.2). So `close` only after SQLite has closed them.
    """

    def __init__(self, path: Path, store: int, index: LogIndex) -> None:
        """`store` is a descriptor. Use `on`."""
        self._path = path
        self._log = beside(path, WAL)
        self._store = store
        self.index = index
        self._before = self._contents(None)

    @classmethod
    def on(cls, path: Path) -> Self | None:
        """Of the files that are there now; None if one is missing."""
        try:
            index = LogIndex.of(path)
            store = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None  # nothing is closed: see above
        return cls(path, store, index)

    def look(self) -> str | None:
        """Which file was overwritten since the last look, in words; None if none was."""
        if (now := self._contents(self._before)) is not None:
            before, self._before = self._before, now
            suffix = overwritten(before, now) if before is not None else None
            if suffix is not None:
                return f"{beside(self._path, suffix)} was overwritten"
        return f"{self._log} was cut off" if self.is_log_cut() else None

    def is_log_cut(self) -> bool:
        """Whether the log is shorter than it must be; a missing log is another matter."""
        index = self.index.read()
        try:
            size = self._log.stat().st_size
        except OSError:
            return False
        # SQLite cuts it back itself, but says before that nothing is in it.
        return index is not None and size < index.least_log_bytes and self.index.read() == index

    @property
    def counter(self) -> int | None:
        """The store's, at the last look; None while the log is being copied into it."""
        before = self._before
        return before.counter if before is not None and before.index.settled else None

    @property
    def mark(self) -> str:
        """The store's and its log's, at the last look; empty while the log is being copied."""
        before = self._before
        if before is None or not before.index.settled:
            return ""
        return mark_of(before.head, before.log_salts)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._store)
        self.index.close()

    def _contents(self, before: Contents | None) -> Contents | None:
        """None while they are being written."""
        index = self.index.read()
        if index is None:
            return None
        try:
            head = os.pread(self._store, MARK_BYTES, 0)
            size = os.fstat(self._store).st_size
            now = self._with_log(Contents(size, head, index, b"", b"", b""), before)
        except OSError:
            return None
        return now if self.index.read() == index else None

    def _with_log(self, bare: Contents, before: Contents | None) -> Contents:
        """What is in the log, too. SQLite has no locks on it, so it may be closed."""
        with self._log.open("rb", buffering=0) as log:
            file = log.fileno()
            return replace(
                bare,
                log_salts=os.pread(file, LOG_SALTS.stop - LOG_SALTS.start, LOG_SALTS.start),
                last_frame=_last_frame(file, bare.index),
                last_frame_before=b"" if before is None else _last_frame(file, before.index),
            )


def _last_frame(log: int, index: Index) -> bytes:
    """The head of what is at the place of the last frame; empty if there is none."""
    return os.pread(log, _FRAME_HEADER_BYTES, index.last_frame_at) if index.frames else b""
