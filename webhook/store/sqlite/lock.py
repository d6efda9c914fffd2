"""The file beside a store by which one process has it, with that process's note on the store."""

import fcntl
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.sqlite.files import LOCK, PRIVATE, beside


@dataclass(frozen=True, slots=True)
class Note:
    """The lock file's note about the store: which file it was when a receiver had it open."""

    inode: int = 0
    """0 if nobody knows."""
    counter: int = 0
    """How often its first page had been changed, at least."""

    @classmethod
    def read(cls, lock: str) -> "Note":
        """From the text of a lock file; one that is not understood says nothing."""
        found = re.fullmatch(r"\d+ inode (\d+)(?: counter (\d+))?\s*", lock)
        return cls(*(int(one or 0) for one in found.groups())) if found else cls()

    def text(self) -> str:
        """For the lock file of this process; always as long, so that one write replaces it."""
        return f"{os.getpid()} inode {self.inode} counter {self.counter}".ljust(79) + "\n"


class Lock:
    """That of the store at `path`.

    Two processes would each hold half of the truth about what is in flight.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self.noted = Note()
        """What was written last."""

    def take(self) -> Note:
        """What the receiver that last had the store open has noted of it. Raises StartError."""
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            lock = os.open(beside(self._path, LOCK), flags, PRIVATE)
        except OSError as error:
            raise StartError(
                f"can't write in {self._path.absolute().parent}: {error.strerror}; create the "
                "folder, or name another one in WEBHOOK_STORE"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 64).decode(errors="replace").split()[:1] or ["unknown"]
            os.close(lock)
            raise StartError(
                f"{self._path} is in use by another receiver (process {holder[0]}); stop that one, "
                "or name another file in WEBHOOK_STORE"
            ) from None
        self._file = lock
        return Note.read(os.read(lock, 96).decode(errors="replace"))

    def write(self, note: Note) -> None:
        """Write into the file who has the store, and this note about it."""
        if self._file is None:
            return
        with suppress(OSError):  # a full disk: the lock holds without the numbers
            os.pwrite(self._file, note.text().encode(), 0)
            self.noted = note

    def release(self) -> None:
        """Let another process have the store."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
