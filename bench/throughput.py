"""Durable events/s on SQLite: the receiver, its peers, and the receiver without a store.

FastAPI commits each event; the Go and Rust peers have a group commit, too. Each runs in turn
against a fresh file, under each kind of load, several times.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from bench import wrk
from bench.cpu import cpu_seconds
from bench.figures import Figures, conditions, table
from bench.results import Results
from bench.subjects import ON_SQLITE, Subject, add_choice, available, chosen
from bench.wrk import Load, Measured
from harness.receiver import ReceiverProcess
from tools.say import fail, say

LOADS = (
    Load("64 kept-alive", 64),
    Load("500 kept-alive", 500),
    Load("one per event, 64", 64, keep_alive=False),
    Load("one per event, 500", 500, keep_alive=False),
)
LOG_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one subject came to."""

    per_second: float
    p99_ms: float
    errors: int
    cpu_us: float
    """CPU time of its process per answered event, in microseconds."""

    def __str__(self) -> str:
        return f"{self.per_second:,.0f} events/s"


def costs_table(results: Results[Run]) -> str:
    """A table of CPU time and latency."""
    subjects = results.subjects
    header = ["connections", *(f"{one.name}: us/event; p99 ms" for one in subjects)]
    rows = [
        [load.name, *(_costs(results.runs(one, load.name)) for one in subjects)] for load in LOADS
    ]
    return table(header, rows)


def _costs(runs: Sequence[Run]) -> str:
    cpu, p99 = Figures([run.cpu_us for run in runs]), Figures([run.p99_ms for run in runs])
    return f"{cpu.show()}; {p99.show(1)}"


def measure(subject: Subject, load: Load, seconds: int) -> Run:
    """One run of one subject."""
    return press(subject, seconds, lambda url: wrk.run(url, load, seconds))


def press(
    subject: Subject,
    seconds: int,
    drive: Callable[[str], Measured],
    settings: Callable[[Path], Mapping[str, object]] = lambda _folder: {},
) -> Run:
    """A run of a subject on a fresh file, which `drive` sends events to its URL for `seconds`.

    `settings` has more of them, with their files in a folder of their own. Checks that each
    answered event is in the file.
    """
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        path = Path(directory) / "events.db"
        given = {"store": f"sqlite:///{path}", **settings(Path(directory))}
        with ReceiverProcess(given, module=subject.module, checkout=subject.checkout) as receiver:
            began = cpu_seconds(receiver.pid)
            seen = drive(f"{receiver.url}/events")
            used = cpu_seconds(receiver.pid) - began
        answered = seen.per_second * seconds
        if not answered:
            fail(f"{subject.name} answered nothing:\n{receiver.log[-LOG_CHARACTERS:]}")
        if path.exists():
            stored = subject.events(path)
            if stored < answered * 0.9:
                fail(f"{subject.name} answered more than the {stored} events that it stored")
    return Run(seen.per_second, seen.p99_ms, seen.errors, used / answered * 1e6)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    add_choice(parser, ON_SQLITE)
    options = parser.parse_args(arguments)
    wanted = chosen(parser, options, ON_SQLITE)
    if not wrk.available():
        fail("wrk is not installed; on Debian: apt-get install wrk")
    subjects, notes = available(wanted)
    results: Results[Run] = Results(subjects)
    for round_ in range(1, options.rounds + 1):
        for load, subject in product(LOADS, subjects):
            run = measure(subject, load, options.seconds)
            results.add(subject, load.name, run)
            say(f"round {round_}/{options.rounds}, {load.name}, {subject.name}: {run}")
    print(f"Median (smallest-largest) of {options.rounds} rounds; {conditions()}\n")
    print(f"Durable events/s\n\n{results.throughput(LOADS)}\n\n{costs_table(results)}")
    for note in notes:
        print(note)
    return 0


if __name__ == "__main__":
    sys.exit(main())
