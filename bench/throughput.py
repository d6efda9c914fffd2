"""Durable events/s on SQLite: the receiver, FastAPI with a commit per event, and no store at all.

Each of the three runs in turn against a fresh file, under each kind of load, several times.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect

from bench.figures import Figures, conditions, ratio, table
from bench.wrk import Load, Measured, available, run
from harness.receiver import ReceiverProcess

SUBJECTS = {
    "receiver": "webhook",
    "no store": "bench.no_store",
    "FastAPI": "bench.peers.fastapi_server",
}
LOADS = (
    Load("64 kept-alive", 64),
    Load("500 kept-alive", 500),
    Load("one per event", 64, keep_alive=False),
)


@dataclass
class Results:
    """What was measured, by load and subject, in order."""

    measured: dict[tuple[str, str], list[Measured]] = field(default_factory=dict)

    def add(self, load: Load, subject: str, measured: Measured) -> None:
        """Keep one measurement."""
        self.measured.setdefault((load.name, subject), []).append(measured)

    def per_second(self, load: Load, subject: str) -> list[float]:
        """The events/s of each round."""
        return [one.per_second for one in self.measured[load.name, subject]]

    def rows(self) -> list[list[str]]:
        """A table's rows, one per load."""
        rows = []
        for load in LOADS:
            ours = self.per_second(load, "receiver")
            cells = [Figures(self.per_second(load, subject)).show() for subject in SUBJECTS]
            p99 = Figures([one.p99_ms for one in self.measured[load.name, "receiver"]]).show(1)
            of_peer = ratio(ours, self.per_second(load, "FastAPI"))
            of_ceiling = ratio(ours, self.per_second(load, "no store"))
            errors = sum(one.errors for one in self.measured[load.name, "receiver"])
            rows.append([load.name, *cells, of_peer, of_ceiling, p99, str(errors)])
        return rows


def measure(module: str, load: Load, seconds: int) -> Measured:
    """One run of one subject; checks that each answered event is in the file."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        path = Path(directory) / "events.db"
        settings = {"store": f"sqlite:///{path}"}
        with ReceiverProcess(settings, module=module) as receiver:
            measured = run(f"{receiver.url}/events", load, seconds)
        if path.exists():
            with closing(connect(path)) as db:
                stored = db.execute("SELECT count(*) FROM events").fetchone()[0]
            if stored < measured.per_second * seconds * 0.9:
                sys.exit(f"{module} answered more than the {stored} events that it stored")
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    options = parser.parse_args(arguments)
    if not available():
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    results = Results()
    for round_ in range(1, options.rounds + 1):
        for load in LOADS:
            for subject, module in SUBJECTS.items():
                measured = measure(module, load, options.seconds)
                results.add(load, subject, measured)
                print(
                    f"round {round_}/{options.rounds}, {load.name}, {subject}: "
                    f"{measured.per_second:,.0f} events/s",
                    file=sys.stderr,
                )
    print(f"Events/s, median (smallest-largest) of {options.rounds} rounds; {conditions()}\n")
    header = ["connections", *SUBJECTS, "x FastAPI", "x no store", "p99 ms", "errors"]
    print(table(header, results.rows()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
