"""A file that a run writes from its beginning to its end, and that others may change meanwhile."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self


class KeptFile:
    """Takes text; says in `trouble` why the file at its path does not, or will not, have all of it.

    The run is to end then, with its summary. A file that was moved still gets what there is to
    write; one whose disk has failed gets no more.
    """

    def __init__(self, path: Path, *, new: bool) -> None:
        """It is added to, unless it must be `new`. Others than its owner can't read it.

        Raises OSError.
        """
        self.path = path
        self.trouble = ""
        """Empty as long as all is well; else in words, which begin with the path."""
        self.cut = False
        """Whether somebody has made it shorter."""
        self._failed = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_EXCL if new else 0)
        self._file = os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii")
        self._size = os.fstat(self._file.fileno()).st_size

    def write(self, text: str) -> None:
        """Write, and look whether all of it is at its path."""
        if self._failed:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._failed = True
            self._tell(f"is incomplete: {error.strerror or error}")
            return
        self._size += len(text)
        self._look()

    def _look(self) -> None:
        ours = os.fstat(self._file.fileno())
        if stat.S_ISREG(ours.st_mode) and ours.st_size < self._size:
            self.cut = True
            self._size = ours.st_size
            self._tell("is incomplete: somebody has cut it")
        try:
            there = os.path.samestat(ours, self.path.stat())
        except OSError:
            there = False
        if not there:
            self._tell("is no longer at its path: somebody has deleted, moved or replaced it")

    def _tell(self, what: str) -> None:
        self.trouble = self.trouble or f"{self.path} {what}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        with suppress(OSError):  # what could not be written before; it has been said
            self._file.close()

    def finish(self) -> None:
        """Write what is still to be written."""
