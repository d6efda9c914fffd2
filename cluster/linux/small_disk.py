"""A folder on a disk of its own, so small that it can be filled: for drills.

The disk is a file with a file system, beside the folder. Filling it takes no room from anybody else
on the machine. The folder must not be in use when its disk is made or removed.
"""

import errno
import os
import shutil
from io import FileIO
from pathlib import Path

from cluster.linux.namespace import must, run

SPARE_MB = 512
"""Its room beside what the folder holds: enough to start everything on."""
FILLER = "filler"
BLOCKS = (1 << 20, 1 << 12)


def missing() -> str | None:
    """Why this machine can't make such a disk; None if it can."""
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed; on Debian: apt-get install e2fsprogs"
    probe = run(["losetup", "--find"])
    return f"there is no loop device: {probe.stderr.strip()}" if probe.returncode else None


def make(folder: Path) -> None:
    """Move what is in `folder` to a small disk, mounted there. Raises NamespaceError."""
    if folder.is_mount():
        return
    image, aside = _image(folder), _aside(folder)
    held = int(must(["du", "--summarize", "--block-size=1M", str(folder)]).split()[0])
    with image.open("wb") as file:
        file.truncate((held + SPARE_MB) << 20)
    must(["mkfs.ext4", "-q", "-m", "0", str(image)])
    folder.rename(aside)
    folder.mkdir()
    must(["mount", "-o", "loop", str(image), str(folder)])
    (folder / "lost+found").rmdir()
    must(["cp", "--archive", f"{aside}/.", str(folder)])
    shutil.rmtree(aside)


def fill(folder: Path) -> None:
    """Leave no room on the disk. Raises OSError."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for size in BLOCKS:
            while _written(file, bytes(size)):
                pass


def _written(file: FileIO, block: bytes) -> bool:
    """Whether the block, or some of it, has found room."""
    try:
        file.write(block)
        os.fsync(file.fileno())  # what is in memory only is counted as more than it takes
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise
    return True


def free(folder: Path) -> None:
    """Make room again."""
    (folder / FILLER).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Move what is in `folder` back from its small disk, if it has one. Raises NamespaceError."""
    if not folder.is_mount():
        return
    aside = _aside(folder)
    free(folder)
    must(["cp", "--archive", f"{folder}/.", str(aside)])
    must(["umount", str(folder)])
    folder.rmdir()
    aside.rename(folder)
    _image(folder).unlink()


def _image(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.disk")


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.aside")
