"""What was measured of several subjects under several loads, and its table of events/s."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from bench.figures import Figures, ratio, table
from bench.subjects import Subject
from bench.wrk import Load


class Measured(Protocol):
    """What one run of one subject came to."""

    @property
    def per_second(self) -> float: ...

    @property
    def errors(self) -> int: ...


R = TypeVar("R", bound=Measured)


@dataclass
class Results(Generic[R]):
    """The runs by subject and load, in order; the first subject is ours."""

    subjects: Sequence[Subject]
    _runs: dict[tuple[str, str], list[R]] = field(default_factory=dict)

    def add(self, subject: Subject, load: str, run: R) -> None:
        """Keep one run."""
        self._runs.setdefault((subject.name, load), []).append(run)

    def runs(self, subject: Subject, load: str) -> Sequence[R]:
        """Those of each round."""
        return self._runs[subject.name, load]

    def throughput(self, loads: Sequence[Load]) -> str:
        """A table: events/s under each load, and how many times each peer's ours are."""
        peers = self.subjects[1:]
        names = [subject.name for subject in self.subjects]
        header = ["connections", *names, *(f"x {peer.name}" for peer in peers), "errors"]
        return table(header, [self._row(load.name) for load in loads])

    def _row(self, load: str) -> list[str]:
        rates = [[run.per_second for run in self.runs(one, load)] for one in self.subjects]
        ours, *peers = rates
        return [
            load,
            *(Figures(rate).show() for rate in rates),
            *(ratio(ours, rate) for rate in peers),
            self._errors(load),
        ]

    def _errors(self, load: str) -> str:
        counts = [sum(run.errors for run in self.runs(one, load)) for one in self.subjects]
        return " / ".join(f"{count:,}" for count in counts) if any(counts) else "0"
