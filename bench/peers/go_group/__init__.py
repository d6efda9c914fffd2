"""The Go peers with a group commit: `python -m bench.peers.go_group.sqlite` becomes one.

It must have been built (`bench.subjects.provide_go`).
"""

import os
import subprocess
from pathlib import Path

PROGRAM = str(Path(__file__).with_name(".build") / "peer")


def become(store: str) -> None:
    """Serve with that kind of store, until a signal."""
    os.execv(PROGRAM, [PROGRAM, store])


def bolt_events(file: Path) -> int:
    """How many events are in a file of bbolt's, which nobody has open."""
    counted = subprocess.run(
        [PROGRAM, "bbolt", "count", str(file)], capture_output=True, text=True, check=True
    )
    return int(counted.stdout)
