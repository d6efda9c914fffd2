"""The file beside a store by which one process has it, with that process's note on the store."""

import fcntl
import logging
import os
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.sqlite.files import LOCK, PRIVATE, beside, provide

log = logging.getLogger(__package__)

LENGTH = 128
_PLACE = 1 << 60  # beyond what a store can have, and beyond SQLite's own locks
_WHOLE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _PLACE, 1, 0)  # a struct flock


@dataclass(frozen=True, slots=True)
class Note:
    """The lock file's note about the store: which file it was when a receiver had it open."""

    inode: int = 0
    """0 if nobody knows."""
    counter: int = 0
    """How often its first page had been changed, at least."""
    mark: str = ""
    """What store and log begin with (`header.mark`): so they are known after a move, too."""

    @classmethod
    def read(cls, lock: str) -> "Note":
        """From the text of a lock file; one that is not understood says nothing."""
        found = re.fullmatch(r"\d+ inode (\d+)(?: counter (\d+))?(?: mark ([0-9a-f]+))?\s*", lock)
        if found is None:
            return cls()
        number, counter, mark = found.groups()
        return cls(int(number), int(counter or 0), mark or "")

    def text(self) -> str:
        """For the lock file of this process; always as long, so that one write replaces it."""
        text = f"{os.getpid()} inode {self.inode} counter {self.counter}"
        return (f"{text} mark {self.mark}" if self.mark else text).ljust(LENGTH - 1) + "\n"


def hold(path: Path) -> int:
    """A descriptor that has the file itself, by whatever name others know it.

    Close it after SQLite has let go: a process that closes a file loses SQLite's locks on it.
    Raises StartError if somebody else has it, and OSError.
    """
    store = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.fcntl(store, fcntl.F_OFD_SETLK, _WHOLE)
    except BlockingIOError:
        os.close(store)
        raise StartError(
            f"{path} is in use by another receiver, under another name (a hard link, a mount); "
            "stop that one, or name another file in WEBHOOK_STORE"
        ) from None
    except (AttributeError, OSError):  # no Linux, or a file system that has no such locks
        log.debug("no lock on %s itself", path)
    return store


class Lock:
    """That of the store at `path`.

    Two processes would each hold half of the truth about what is in flight.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._store: int | None = None
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
        return Note.read(os.read(lock, LENGTH).decode(errors="replace"))

    def hold(self) -> None:
        """Take the store's file itself, made where there is none. Raises StartError, OSError."""
        provide(self._path)
        self._store = hold(self._path)

    def write(self, note: Note) -> None:
        """Write into the file who has the store, and this note about it."""
        if self._file is None:
            return
        with suppress(OSError):  # a full disk: the lock holds without the numbers
            os.pwrite(self._file, note.text().encode(), 0)
            self.noted = note

    def release(self) -> None:
        """Let another process have the store."""
        for file in (self._file, self._store):
            if file is not None:
                os.close(file)
        self._file = self._store = None
