"""What the first page of a store's file says, read without SQLite."""

import zlib
from contextlib import suppress
from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.sqlite.files import WAL, beside

PAGE_BYTES = 4096
MARK_BYTES = 16 * PAGE_BYTES
"""More than the first page, which new stores have in common; their first events they have not."""
LOG_SALTS = slice(16, 24)
"""In a log: another pair each time it starts again."""
_MAGIC = b"SQLite format 3\0"
_COUNTER = slice(24, 28)  # raised by each change of the first page


def counter_in(first_page: bytes) -> int:
    """How often a store's first page was changed, as the page itself says; it never falls."""
    return int.from_bytes(first_page[_COUNTER])


def mark_of(head: bytes, log_salts: bytes) -> str:
    """What a store (`MARK_BYTES` of it) and its log begin with, in short; empty without a log."""
    return f"{zlib.crc32(head):08x}{log_salts.hex()}" if any(log_salts) else ""


def mark(path: Path) -> str:
    """That of files that this process has not open; empty if they can't be read."""
    with suppress(OSError), path.open("rb") as store, beside(path, WAL).open("rb") as log:
        head, log_head = store.read(MARK_BYTES), log.read(LOG_SALTS.stop)
        if len(log_head) == LOG_SALTS.stop:
            return mark_of(head, log_head[LOG_SALTS])
    return ""


def counter(path: Path) -> int:
    """The same of a file that this process has not open; 0 if it can't be read.

    One that it has open would lose SQLite's locks when it is closed here.
    """
    with suppress(OSError), path.open("rb") as file:
        return counter_in(file.read(PAGE_BYTES))
    return 0


def check_kind(path: Path) -> None:
    """Refuse a pipe, a device or the like, before it is opened. Raises StartError."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise StartError(f"{path} is no ordinary file; name another path in WEBHOOK_STORE")


def check_header(path: Path) -> None:
    """Refuse what is no SQLite file before SQLite itself touches it. Raises StartError."""
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise StartError(
                    f"{path} is not a SQLite file and was left as it is; name another "
                    "path in WEBHOOK_STORE"
                )
