"""The limit on open files, which is the limit on connections."""

import resource
from pathlib import Path

_SPARE = 16
"""Files beside the connections that may be opened later: the resolver's, the ledger's."""


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
    open_now = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return max(1, limit - open_now - _SPARE)
