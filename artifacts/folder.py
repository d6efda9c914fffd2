"""A folder that is made from inputs: it is there completely, as it was made, or not at all.

It has a record of what it was made from, and the checksum of everything else in it. If it is made
again from the same inputs, it is left alone, unless it was damaged.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from artifacts.fetch import sha256
from tools.say import fail, say

UNFINISHED = "+"  # begins the names of folders that are being filled, and of no other
AT_FDCWD = -100
RENAME_EXCHANGE = 2  # by Linux's renameat2(2), and as RENAME_SWAP by macOS's renamex_np(2)


def make_folder(
    folder: Path,
    record: str,
    inputs: Mapping[str, Any],
    fill: Callable[[Path], Mapping[str, Any]],
) -> bool:
    """Have `folder` made from `inputs`; whether that took anything.

    `fill` puts the content into an empty folder beside it and returns what else is to be recorded;
    the record is the JSON file named `record`. A folder of other inputs, or a damaged one, is
    exchanged for the new one in one step; files that processes have open stay valid. One process
    at a time does this for the folders of one parent. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder.parent):
        if _is_made(folder, record, inputs):
            return False
        for leftover in folder.parent.glob(f"{UNFINISHED}*"):  # of a process that was killed
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder.parent) as directory:
            new = Path(directory) / "new"
            new.mkdir()
            document = {**inputs, **fill(new), "files_sha256": digest(new, _files(new, record))}
            (new / record).write_text(json.dumps(document, indent=2) + "\n")
            if folder.exists():
                _exchange(new, folder)
            else:
                new.replace(folder)
    return True


def digest(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names below `root` and the contents of `files`."""
    lines = (f"{sha256(path)}  {path.relative_to(root)}\n" for path in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path, record: str) -> Iterator[Path]:
    """Every file in `folder` but its record."""
    return (path for path in folder.rglob("*") if path.is_file() and path != folder / record)


def _is_made(folder: Path, record: str, inputs: Mapping[str, Any]) -> bool:
    try:
        document = json.loads((folder / record).read_text())
    except (FileNotFoundError, ValueError):
        return False
    if not inputs.items() <= document.items():
        return False
    return bool(document.get("files_sha256") == digest(folder, _files(folder, record)))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, which ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that uses {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders: at every moment one of them is at `old`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.system() == "Darwin":
        failed = libc.renamex_np(os.fsencode(new), os.fsencode(old), RENAME_EXCHANGE)
    else:
        paths = (AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old))
        failed = libc.renameat2(*paths, RENAME_EXCHANGE)
    if failed:
        reason = os.strerror(ctypes.get_errno())
        fail(f"{old} can't be exchanged for a new one ({reason}); remove it and try again")
