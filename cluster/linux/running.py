"""What runs, in a folder: machines by process number and by when that process began.

The number alone may belong to another process by now.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.linux.namespace import Namespaces


@dataclass(frozen=True)
class Running:
    """The machines that are recorded in `folder`, whether they still run or not."""

    folder: Path

    def pid(self, name: str) -> int:
        """The first process of the machine of that name, 0 if none runs."""
        try:
            kept = json.loads(self._record(name).read_text())
        except FileNotFoundError:
            return 0
        pid = int(kept["pid"])
        return pid if _began(pid) == kept["began"] else 0

    def keep(self, machine: Namespaces) -> None:
        """Record that the machine runs."""
        record = self._record(machine.name)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"pid": machine.pid, "began": _began(machine.pid)}))

    def forget(self, name: str) -> None:
        """Remove the record, if there is one."""
        self._record(name).unlink(missing_ok=True)

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _began(pid: int) -> int | None:
    """When a process began, in the kernel's own units; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])  # proc_pid_stat(5), field 22
