"""Whether the log beside a store that is not open belongs to that store.

SQLite deletes a log without a store, and applies a log to whatever store it finds beside it.
"""

from pathlib import Path

from webhook.store.sqlite.files import WAL, beside, has_log, inode
from webhook.store.sqlite.lock import Note


def orphaned_log(path: Path, before: Note, counter: int) -> str | None:
    """Why the log beside the store does not belong to it; None if it may, or there is none.

    `before` is the note of the receiver that last had it open, `counter` the store's own now.
    """
    log = beside(path, WAL)
    if not has_log(path):
        return None
    if not path.exists() or not path.stat().st_size:
        return (
            f"{log} holds events that were acknowledged, and {path} to which it belongs is "
            f"{'empty' if path.exists() else 'not there'}. Put that file back beside it; or, to "
            f"start with an empty store, move {log.name} to where the file went"
        )
    if before.inode not in (0, inode(path)):
        return (
            f"{log} belongs to another file than the one that is at {path} now, and would damage "
            f"it. If {path.name} was restored from a copy, move {log.name} and {path.name}-shm "
            "away, beside the file that they belong to"
        )
    if counter < before.counter:
        return (
            f"{path} was overwritten by an older copy: {log} belongs to what was there before, and "
            f"would damage it. To continue from the copy, move {log.name} and {path.name}-shm away"
        )
    return None
