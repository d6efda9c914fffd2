"""Which files a SQLite store has, and whether the opened ones are still at their paths.

A store is the file at its path and, while somebody has it open or after a crash, the log beside it
(`-wal`) with its index (`-shm`). The events acknowledged last are only in the log. SQLite keeps the
files that it has opened, by their inodes, whatever happens to their names: whoever moves, deletes
or replaces one takes it away from everybody but the process that has it open.
"""

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

LOCK = ".lock"
WAL = "-wal"
SHM = "-shm"
SUFFIXES = ("", WAL, SHM)
PRIVATE = 0o600
"""Events hold phone numbers: whoever else has an account on the machine can't read them."""


def beside(path: Path, suffix: str) -> Path:
    """The file of the store at `path` that ends so."""
    return path.with_name(path.name + suffix)


def real(path: Path) -> Path:
    """Where a path leads. SQLite puts the log there, and not beside a symbolic link."""
    return Path(os.path.realpath(path))


def provide(path: Path) -> None:
    """Make an empty file where there is none; what SQLite makes beside it takes its mode.

    Raises OSError.
    """
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE))


def is_private(path: Path) -> bool:
    """Whether others than the owner and his group can neither read nor write it."""
    return not stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO


def has_log(path: Path) -> bool:
    """Whether there is a log with something in it beside a store."""
    log = beside(path, WAL)
    return log.exists() and log.stat().st_size > 0


def identity(path: Path) -> tuple[int, int]:
    """Device and inode of a file; zeros if there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def inode(path: Path) -> int:
    """The number by which a file system knows a file; 0 if there is none.

    It stays the same over a restart of the machine; the device's number need not.
    """
    return identity(path)[1]


@dataclass(frozen=True)
class OpenFiles:
    """The opened files, to compare with what is at their paths now."""

    path: Path
    link: Path
    """By which it was named: the path itself, or a symbolic link to it."""
    identities: tuple[tuple[str, tuple[int, int]], ...] = ()

    def now(self) -> "OpenFiles":
        """Those that are there now, which must be those that were opened."""
        found = tuple((suffix, identity(beside(self.path, suffix))) for suffix in SUFFIXES)
        return replace(self, identities=found)

    def reopened(self) -> "OpenFiles":
        """The same store, with the log that it has now."""
        return replace(self, identities=(*self.identities[:1], *self.now().identities[1:]))

    def closed(self) -> "OpenFiles":
        """The store alone: with its last connection SQLite itself deletes the log."""
        return replace(self, identities=self.identities[:1])

    @property
    def inode(self) -> int:
        """The store's; 0 before it was opened."""
        return self.identities[0][1][1] if self.identities else 0

    def changed(self) -> str | None:
        """Which was moved, deleted or replaced, in words; None if all are as they were."""
        if self.link != self.path and self.identities and real(self.link) != self.path:
            return f"{self.link} does not lead to {self.path} any more: it was replaced"
        for suffix, opened in self.identities:
            file = beside(self.path, suffix)
            now = identity(file)
            if now != opened:
                return f"{file} was {'replaced' if any(now) else 'moved or deleted'}"
        return None
