"""Durable events/s on SQLite: the receiver, its peers, and the receiver without a store.

FastAPI commits each event; the Go peer has a group commit, too. Each runs in turn against a fresh
file, under each kind of load, several times.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from sqlite3 import connect

from bench.cpu import cpu_seconds
from bench.figures import Figures, conditions, ratio, table
from bench.subjects import ON_SQLITE, OURS, Subject, available
from bench.wrk import Load, Measured, run
from bench.wrk import available as available_wrk
from harness.receiver import ReceiverProcess
from tools.say import say

LOADS = (
    Load("64 kept-alive", 64),
    Load("500 kept-alive", 500),
    Load("one per event, 64", 64, keep_alive=False),
    Load("one per event, 500", 500, keep_alive=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one subject showed."""

    seen: Measured
    cpu_us: float
    """CPU time per event of the subject, in microseconds."""


@dataclass
class Results:
    """What was measured, by load and subject, in order."""

    subjects: Sequence[Subject]
    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)

    def add(self, load: Load, subject: Subject, run: Run) -> None:
        """Keep one measurement."""
        self.runs.setdefault((load.name, subject.name), []).append(run)

    def throughput(self) -> str:
        """A table of events/s, with how many times each other subject's ours are."""
        peers = self.subjects[1:]
        header = ["connections", *(one.name for one in self.subjects)]
        return table(
            [*header, *(f"x {one.name}" for one in peers)],
            [
                [
                    load.name,
                    *(Figures(self._per_second(load, one)).show() for one in self.subjects),
                    *(
                        ratio(self._per_second(load, OURS), self._per_second(load, one))
                        for one in peers
                    ),
                ]
                for load in LOADS
            ],
        )

    def per_event(self) -> str:
        """A table of CPU time and latency."""
        header = ["connections", *(f"{one.name}: us/event; p99 ms" for one in self.subjects)]
        return table(
            header,
            [[load.name, *(self._costs(load, one) for one in self.subjects)] for load in LOADS],
        )

    def errors(self) -> int:
        """Of our receiver, in all runs."""
        return sum(run.seen.errors for load in LOADS for run in self.runs[load.name, OURS.name])

    def _per_second(self, load: Load, subject: Subject) -> list[float]:
        return [run.seen.per_second for run in self.runs[load.name, subject.name]]

    def _costs(self, load: Load, subject: Subject) -> str:
        runs = self.runs[load.name, subject.name]
        cpu, p99 = Figures([run.cpu_us for run in runs]), Figures([run.seen.p99_ms for run in runs])
        return f"{cpu.show()}; {p99.show(1)}"


def measure(subject: Subject, load: Load, seconds: int) -> Run:
    """One run of one subject; checks that each answered event is in the file."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        path = Path(directory) / "events.db"
        settings = {"store": f"sqlite:///{path}"}
        with ReceiverProcess(settings, module=subject.module) as receiver:
            began = cpu_seconds(receiver.pid)
            seen = run(f"{receiver.url}/events", load, seconds)
            used = cpu_seconds(receiver.pid) - began
        answered = seen.per_second * seconds
        if path.exists():
            with closing(connect(path)) as db:
                stored = db.execute("SELECT count(*) FROM events").fetchone()[0]
            if stored < answered * 0.9:
                sys.exit(f"{subject.name} answered more than the {stored} events that it stored")
    return Run(seen, used / answered * 1e6)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    parser.add_argument(
        "--peer", nargs="*", metavar="NAME", help="compare with these only, such as: go"
    )
    options = parser.parse_args(arguments)
    if not available_wrk():
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    wanted = [one for one in ON_SQLITE if _is_wanted(one, options.peer)]
    subjects, notes = available(wanted)
    results = Results(subjects)
    for round_ in range(1, options.rounds + 1):
        for load, subject in product(LOADS, subjects):
            measured = measure(subject, load, options.seconds)
            results.add(load, subject, measured)
            say(
                f"round {round_}/{options.rounds}, {load.name}, {subject.name}: "
                f"{measured.seen.per_second:,.0f} events/s"
            )
    print(f"Median (smallest-largest) of {options.rounds} rounds; {conditions()}\n")
    print(f"Events/s; errors of the receiver: {results.errors()}\n")
    print(f"{results.throughput()}\n\n{results.per_event()}")
    for note in notes:
        print(note)
    return 0


def _is_wanted(subject: Subject, peers: Sequence[str] | None) -> bool:
    if peers is None or subject == OURS:
        return True
    return any(subject.name.lower().startswith(peer.lower()) for peer in peers)


if __name__ == "__main__":
    sys.exit(main())
