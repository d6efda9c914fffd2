"""The processes of the cluster's parts on this machine, over all nodes: CPU time and memory."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from bench.cpu import own_cpu_seconds
from cluster.layout import PARTS
from harness.processes import command_line
from harness.processes import processes as all_processes

WEBHOOK = "webhook"
KINDS = {"-m webhook": WEBHOOK, **{part.process: part.title for part in PARTS}}
"""A word of a process's command line, and what its part is called."""


def processes() -> Iterator[tuple[int, str]]:
    """All processes of a part: their number, and the part."""
    for folder in all_processes():
        command = command_line(folder)
        part = KINDS.get(max((word for word in KINDS if word in command), key=len, default=""))
        if part is not None and "unshare" not in command:
            yield int(folder.name), part


def cpu_seconds() -> dict[str, float]:
    """CPU seconds that the processes of each part have used so far."""
    return _sums(own_cpu_seconds)


def memory_mib() -> dict[str, float]:
    """MiB that the processes of each part have now; what several share counts once in all."""
    return _sums(_own_mib)


def _sums(of: Callable[[int], float]) -> dict[str, float]:
    sums = dict.fromkeys(KINDS.values(), 0.0)
    for pid, part in processes():
        with suppress(FileNotFoundError, ProcessLookupError):
            sums[part] += of(pid)
    return sums


def _own_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
