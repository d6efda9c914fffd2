"""Whether a store's file is mounted by itself, as by `docker run -v events.db:/data/events.db`."""

import re
from contextlib import suppress
from pathlib import Path

from webhook.store.contract import StartError

MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def refuse_own_mount(path: Path) -> None:
    """The log is beside the file, in a folder that may go with the container. Raises StartError."""
    if str(path) in mount_points():
        raise StartError(
            f"{path} is mounted by itself, and its log would stay in {path.parent}, which is "
            "elsewhere: after a crash its last events would be gone. Mount the folder that it is in"
        )


def mount_points(mounts: Path = MOUNTS) -> set[str]:
    """Where something is mounted; empty where nobody says so."""
    with suppress(OSError):
        lines = mounts.read_text(errors="surrogateescape").split("\n")  # names may have other ends
        return {_ESCAPED.sub(_character, line.split(" ")[4]) for line in lines if line}
    return set()


def _character(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 8))
