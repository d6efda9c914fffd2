"""CPU time of processes, from /proc."""

import os
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """What the process has used so far in user and kernel mode: its threads and its children too.

    To 10 ms. What the kernel does for it in interrupts (the network's other half) is nobody's.
    """
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return _ticks(pid, 4) / _TICKS_A_SECOND + sum(map(cpu_seconds, children))


def own_cpu_seconds(pid: int) -> float:
    """The same without its children."""
    return _ticks(pid, 2) / _TICKS_A_SECOND


def _ticks(pid: int, fields: int) -> int:
    """The sum of utime and stime, and with four fields of cutime and cstime."""
    # The name, in brackets, may hold spaces; utime is field 14 of the line.
    line = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, line[11 : 11 + fields]))
