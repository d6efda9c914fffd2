"""The machine that sends the load: its CPU by state and kind of process, its sockets, its network.

The figures are from /proc: see proc_stat(5), proc_pid_stat(5), proc_net(5). What the kernel does in
interrupts, the network's other half, is in `interrupts` and belongs to no process.
"""

import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.layout import PARTS
from loadtest.record import MachineSample

KINDS = {
    "-m tgibf": "TGIBF",
    "-m webhook": "receivers",
    **{part.process: part.title for part in PARTS},
    "qemu-system": "virtual machines",
}
"""Part of a process's command line, and what the process is called here. The longest goes."""
OURSELVES = "this load test"
SHORTEST_SECONDS = 0.5

_TICKS = os.sysconf("SC_CLK_TCK")
# The fields of a line `cpu` in /proc/stat.
_USER, _NICE, _SYSTEM, _IDLE, _IO_WAIT, _IRQ, _SOFTIRQ, _STOLEN = range(8)


@dataclass(frozen=True, slots=True)
class _Look:
    """All totals at a moment."""

    at: float
    states: Mapping[str, int]
    used: Mapping[tuple[int, int], int]
    """Ticks of CPU time of each process of a known kind, by its number and its start."""
    bytes: tuple[int, int]


class Machine:
    """Compares each look with the one before. `generators` tells the processes by name."""

    def __init__(self, interface: str, generators: Callable[[], Mapping[str, int]]) -> None:
        """`interface` is the one that events go through; empty if it is not known."""
        self._interface = interface
        self._generators = generators
        self._kinds: dict[tuple[int, int], str] = {}
        self._before: _Look | None = None

    def take(self) -> list[MachineSample]:
        """What has happened since the last time; nothing the first time, or if it was just now."""
        before = self._before
        if before is not None and time.monotonic() - before.at < SHORTEST_SECONDS:
            return []
        now = self._look()
        sample = [] if before is None else [self._compared(before, now)]
        self._before = now
        return sample

    def _compared(self, before: _Look, now: _Look) -> MachineSample:
        seconds = now.at - before.at
        cores = {
            name: round((ticks - before.states[name]) / _TICKS / seconds, 3)
            for name, ticks in now.states.items()
        }
        processes: dict[str, float] = {}
        by_pid: dict[int, float] = {}
        for process, ticks in now.used.items():
            spent = (ticks - before.used.get(process, ticks)) / _TICKS / seconds
            kind = self._kinds[process]
            processes[kind] = processes.get(kind, 0.0) + spent
            by_pid[process[0]] = spent
        connections, time_wait = _sockets()
        return MachineSample(
            at=round(time.time(), 3),
            seconds=round(seconds, 3),
            cores=cores,
            processes={kind: round(spent, 3) for kind, spent in processes.items()},
            generators={
                name: round(by_pid.get(pid, 0.0), 3) for name, pid in self._generators().items()
            },
            memory_available_bytes=_memory_available(),
            connections=connections,
            time_wait=time_wait,
            received_bytes=now.bytes[0] - before.bytes[0],
            sent_bytes=now.bytes[1] - before.bytes[1],
        )

    def _look(self) -> _Look:
        return _Look(time.monotonic(), _states(), self._ticks(), _interface_bytes(self._interface))

    def _ticks(self) -> dict[tuple[int, int], int]:
        """As in a look."""
        used = {}
        kinds: dict[tuple[int, int], str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                # The name, in brackets, may be any bytes; after it, utime is the twelfth field.
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                process = int(folder.name), int(fields[19])
                kind = self._kinds.get(process)
                if kind is None:
                    kind = _kind(folder)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or is somebody else's where /proc hides those (hidepid)
            kinds[process] = kind
            if kind:
                used[process] = int(fields[11]) + int(fields[12])
        self._kinds = kinds
        return used


def _kind(folder: Path) -> str:
    """What a process is called here; empty for others."""
    if int(folder.name) == os.getpid():
        return OURSELVES
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if "unshare" in command or "nsenter" in command:
        return ""
    return KINDS.get(max((words for words in KINDS if words in command), key=len, default=""), "")


def _states() -> dict[str, int]:
    """Ticks of all cores so far, by what they did."""
    with Path("/proc/stat").open() as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return {
        "user": fields[_USER] + fields[_NICE],
        "system": fields[_SYSTEM],
        "interrupts": fields[_IRQ] + fields[_SOFTIRQ],
        "io_wait": fields[_IO_WAIT],
        "stolen": fields[_STOLEN],
    }


def _memory_available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _sockets() -> tuple[int, int]:
    """TCP sockets in use, and those that wait for stray segments (TIME_WAIT)."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            figures = dict(zip(words[1::2], map(int, words[2::2]), strict=True))
            return figures["inuse"], figures["tw"]
    return 0, 0


def _interface_bytes(interface: str) -> tuple[int, int]:
    """Received and sent so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, colon, figures = line.partition(":")
        if colon and name.strip() == interface:
            fields = figures.split()
            return int(fields[0]), int(fields[8])
    return 0, 0


def interface_to(host: str) -> str:
    """The interface by which this machine reaches a host; empty if it can't be told."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return ""
    if address.startswith("127."):
        return "lo"
    (wanted,) = struct.unpack("=I", socket.inet_aton(address))  # as in /proc/net/route
    best, longest = "", -1
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        name, destination, _, _, _, _, _, mask, *_ = line.split()
        bits = int(mask, 16)
        if wanted & bits == int(destination, 16) and bits.bit_count() > longest:
            best, longest = name, bits.bit_count()
    return best
