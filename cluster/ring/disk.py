"""Room on the disk of a node of the ring: Cassandra is started only where there is some.

A Cassandra whose disk is full ends in the middle of its commit log. The next start takes a torn log
for what it is, but only if it is the last one. If that start ends too, for lack of room, it has
begun another log by then, and every start after it refuses the torn one: the node would stay away
for good, although its disk has room again.
"""

import shutil
import time
from pathlib import Path

from tools.say import say

START_BYTES = 128 << 20
"""What a start may write: what the commit log holds, as tables, and a log of its own."""
LOOK_SECONDS = 1.0


def await_room(storage: Path) -> None:
    """Return when there is enough room on the disk of `storage` for a start."""
    said = False
    while (free := shutil.disk_usage(storage).free) < START_BYTES:
        if not said:
            say(
                f"the disk of {storage} has {free >> 20} MiB left, and a start needs "
                f"{START_BYTES >> 20}: waiting until there is room"
            )
        said = True
        time.sleep(LOOK_SECONDS)
    if said:
        say(f"there is room on the disk of {storage} again")
