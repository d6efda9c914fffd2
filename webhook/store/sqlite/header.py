"""What the first page of a store's file says, read without SQLite."""

from contextlib import suppress
from pathlib import Path

from webhook.store.contract import StartError

PAGE_BYTES = 4096
_MAGIC = b"SQLite format 3\0"
_COUNTER = slice(24, 28)  # raised by each change of the first page


def counter_in(first_page: bytes) -> int:
    """How often a store's first page was changed, as the page itself says; it never falls."""
    return int.from_bytes(first_page[_COUNTER])


def counter(path: Path) -> int:
    """The same of a file that this process has not open; 0 if it can't be read.

    One that it has open would lose SQLite's locks when it is closed here.
    """
    with suppress(OSError), path.open("rb") as file:
        return counter_in(file.read(PAGE_BYTES))
    return 0


def check_header(path: Path) -> None:
    """Refuse what is no SQLite file before SQLite itself touches it. Raises StartError."""
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise StartError(
                    f"{path} is not a SQLite file and was left as it is; name another "
                    "path in WEBHOOK_STORE"
                )
