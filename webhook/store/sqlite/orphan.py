"""Whether the log beside a store that is not open belongs to that store.

SQLite deletes a log without a store, and applies a log to whatever store it finds beside it.
"""

from pathlib import Path

from webhook.store.contract import StartError
from webhook.store.sqlite.files import LOCK, WAL, beside, has_log, inode
from webhook.store.sqlite.header import counter, mark
from webhook.store.sqlite.lock import Note


def refuse_orphaned_log(path: Path) -> None:
    """Before somebody else than a receiver opens the store: that alone could end a log.

    Raises StartError.
    """
    try:
        lock = beside(path, LOCK).read_text(errors="replace")
    except OSError:
        lock = ""
    if reason := orphaned_log(path, Note.read(lock), counter(path)):
        raise StartError(reason)


def orphaned_log(path: Path, before: Note, count: int) -> str | None:
    """Why the log beside the store does not belong to it; None if it may, or there is none.

    `before` is the note of the receiver that last had it open, `count` the store's own counter now.
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
    if before.inode not in (0, inode(path)) and (not before.mark or before.mark != mark(path)):
        return (
            f"{log} belongs to another file than the one that is at {path} now, and would damage "
            f"it. If {path.name} was restored from a copy, move {log.name} and {path.name}-shm "
            f"away, beside the file that they belong to. If both came here together from another "
            f"place, keep copies of both, remove {path.name}{LOCK}, and start again"
        )
    if count < before.counter:
        return (
            f"{path} was overwritten by an older copy: {log} belongs to what was there before, and "
            f"would damage it. To continue from the copy, move {log.name} and {path.name}-shm away"
        )
    return None
