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
    return _seconds_in(_stat(pid), 4) + sum(map(cpu_seconds, children))


def own_cpu_seconds(pid: int) -> float:
    """The same without its children."""
    return own_seconds_in(_stat(pid))


def own_seconds_in(stat: str) -> float:
    """The same, from what /proc/PID/stat says. Raises LookupError or ValueError if it is cut."""
    return _seconds_in(stat, 2)


def _seconds_in(stat: str, fields: int) -> float:
    """The sum of utime and stime, and with four fields of cutime and cstime."""
    # The name, in brackets, may hold spaces; utime is field 14 of the line.
    return sum(map(int, stat.rpartition(")")[2].split()[11 : 11 + fields])) / _TICKS_A_SECOND


def _stat(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text()
