"""The limit on open files, which is the limit on connections."""

import resource
from pathlib import Path

_NEEDED = 12
"""The event loop's files, the ledger, the series, and a connection."""
_SPARE = 16
"""Files beside the connections that may be opened later: the resolver's, the ledger's."""


class FilesLimitError(Exception):
    """Too few files may be open; the message says what to do."""


def check_limit() -> None:
    """Raise the limit, and FilesLimitError if not even one connection fits within it."""
    limit = raise_limit()
    if limit - _open_now() < _NEEDED:
        raise FilesLimitError(
            f"only {limit} files may be open, too few to begin with; allow more: ulimit -n 1024"
        )


def raise_limit() -> int:
    """Raise the soft limit to the hard one; the limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = int(Path("/proc/sys/fs/nr_open").read_text())
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_within(limit: int) -> int:
    """How many connections fit beside the files that are open now; at least 1."""
    return max(1, limit - _open_now() - _SPARE)


def _open_now() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
