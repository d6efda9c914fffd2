"""Looks at the processes of the nodes, once per second, in a thread.

The figures are from /proc, of the process and not of its control group: what a group has of the
page cache it gives back when others need it. Of an agent, whose processes on a node count as one,
what several processes share is counted in parts (Pss): Nomad's executors are its program many times
over. See proc_pid_status(5), proc_pid_stat(5) and proc_pid_smaps_rollup(5).
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bench.cpu import own_seconds_in
from bench.parts.usage import Look, Unit
from cluster.layout import AUTOSCALER, NODES, PROMETHEUS, WEBHOOK
from harness.cluster import processes_on

EVERY_SECONDS = 1.0
BESIDES = "Cassandra, Consul and Nomad of a node"
_FORGET_PEAK = "5"
"""Written to clear_refs it has VmHWM begin anew: proc_pid_clear_refs(5)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A part: a piece of its command lines, and the job's task that it is."""

    words: str
    part: str
    job: str = ""
    """Empty for what every node has: all of its processes count as one."""
    task: str = ""


KINDS = (
    Kind("-m webhook", "webhook", WEBHOOK, WEBHOOK),
    Kind("bin/fabio", "Fabio", "fabio", "fabio"),
    Kind("node/bin/door", "Fabio's door", "fabio", "fabio"),
    Kind("node/bin/routes", "Fabio's routes", "fabio", "routes"),
    Kind("bin/prometheus", "Prometheus", PROMETHEUS, PROMETHEUS),
    Kind("bin/nomad-autoscaler", "autoscaler", AUTOSCALER, AUTOSCALER),
    Kind("node/bin/gate", "autoscaler's gate", AUTOSCALER, "gate"),
    Kind("-m tgibf", "TGIBF", "tgibf", "tgibf"),
    Kind("CassandraDaemon", "Cassandra"),
    Kind("bin/consul", "Consul"),
    Kind("bin/nomad", "Nomad"),
)


def kind_of(line: str) -> Kind | None:
    """What a process with this command line is; the longest words go."""
    if "unshare" in line or "nsenter" in line:
        return None
    return max(
        (kind for kind in KINDS if kind.words in line),
        key=lambda kind: len(kind.words),
        default=None,
    )


class Looks:
    """All looks from `with` to its end, in `taken`."""

    def __init__(self) -> None:
        self.taken: list[Look] = []
        self._known: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="parts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self.taken.append(self._look())
            due = max(due + EVERY_SECONDS, time.monotonic())

    def _look(self) -> Look:
        at = time.monotonic()
        units: dict[tuple[str, str], Unit] = {}
        for node in NODES:
            for pid, line in processes_on(node).items():
                kind = kind_of(line)
                one = self._unit(pid, kind) if kind is not None else None
                if kind is None or one is None:
                    continue
                name = f"{pid}" if kind.job else node.name
                keys = [(kind.part, name), *([(BESIDES, name)] if not kind.job else [])]
                for key in keys:
                    units[key] = _sum(units[key], one) if key in units else one
        return Look(at, units)

    def _unit(self, pid: int, kind: Kind) -> Unit | None:
        """None if it has ended, or is about to."""
        folder = Path(f"/proc/{pid}")
        try:
            if pid not in self._known:
                self._known.add(pid)
                with suppress(PermissionError):
                    (folder / "clear_refs").write_text(_FORGET_PEAK)
            one = unit_of((folder / "status").read_text(), (folder / "stat").read_text())
            if kind.job:
                return one
            return without_others(one, (folder / "smaps_rollup").read_text())
        except (OSError, LookupError):
            return None


def unit_of(status: str, stat: str) -> Unit:
    """From a process's `status` and `stat`. Raises LookupError for one without memory."""
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Unit(
        memory=int(lines["VmRSS"].split()[0]) * 1024,
        peak=int(lines["VmHWM"].split()[0]) * 1024,
        cpu_seconds=own_seconds_in(stat),
    )


def without_others(one: Unit, rollup: str) -> Unit:
    """The same without the share that other processes have in its memory, by `smaps_rollup`.

    Raises LookupError for a process without memory.
    """
    lines = dict(line.split(":", 1) for line in rollup.splitlines() if ":" in line)
    rss, pss = (int(lines[name].split()[0]) * 1024 for name in ("Rss", "Pss"))
    others = rss - pss
    return replace(one, memory=max(0, one.memory - others), peak=max(0, one.peak - others))


def _sum(one: Unit, other: Unit) -> Unit:
    return Unit(
        one.memory + other.memory, one.peak + other.peak, one.cpu_seconds + other.cpu_seconds
    )
