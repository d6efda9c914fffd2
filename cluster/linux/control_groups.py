"""Removes the control groups that a killed Nomad leaves; a node that lost its power has none.

Nodes made of namespaces share the machine's control groups. Each Nomad makes one there for every
allocation; on version 1, in the tree of each controller.
"""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PARENTS = ("nomad", "nomad.slice")


def remove_allocations(directory: Path) -> None:
    """Remove the groups of the allocations that have folders in `directory`."""
    names = tuple(path.name for path in directory.glob("*")) if directory.exists() else ()
    for parent in _parents():
        for group in _deepest_first(parent):
            if group.name.startswith(names):
                _remove(group)


def remove_parents() -> None:
    """Remove Nomad's own groups, unless a Nomad runs on this machine, which needs them."""
    if _nomad_runs():
        return
    for parent in _parents():
        for group in [*_deepest_first(parent), parent]:
            _remove(group)


def _nomad_runs() -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if program.endswith(b"nomad") and b"agent" in arguments:
            return True
    return False


def _parents() -> list[Path]:
    """Nomad makes them in the groups that it was started in itself, so they may be anywhere."""
    found = []
    for directory, groups, _ in os.walk(ROOT):
        found += [Path(directory, name) for name in PARENTS if name in groups]
        groups[:] = [name for name in groups if name not in PARENTS]
    return found


def _deepest_first(parent: Path) -> list[Path]:
    groups = [path for path in parent.glob("**/*") if path.is_dir()]
    return sorted(groups, key=lambda group: len(group.parts), reverse=True)


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:  # processes or groups are in it
        return
