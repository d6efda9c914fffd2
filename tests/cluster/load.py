"""Load from outside of the nodes, through all front doors, and the verdict on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.generator import Generator
from harness.verification import Bounds, judged, of_its_runs, settled_counts
from webhook.store.audit import stored_ids


class Loaded(Protocol):
    """A cluster that takes events."""

    @property
    def doors(self) -> list[str]: ...

    @property
    def store(self) -> str: ...

    def everywhere(self) -> list[str]: ...


PHASE = 1000  # events acknowledged before, during and after each change, at least
LOAD = ("--keep-alive", "--rate", "300")


@dataclass
class Load:
    """A load that runs, and after its end what came of it."""

    generator: Generator
    code: int = -1
    """The generator's exit code: 0 if every event was acknowledged."""
    summary: dict[str, Any] = field(default_factory=dict)
    verdict: str = ""

    def acknowledge(self, events: int = PHASE) -> None:
        """Return when so many more events were acknowledged."""
        self.generator.acknowledge(events)

    @property
    def failed(self) -> int:
        """How many events were not acknowledged."""
        return int(self.summary["refused"] + self.summary["unknown"])


@contextmanager
def load(cluster: Loaded, ledger: Path, bounds: Bounds, *options: str) -> Iterator[Load]:
    """A generator with `options`; after the block, the verdict and every count hold."""
    with Generator(cluster.doors, ledger, *LOAD, *options) as generator:
        running = Load(generator)
        running.acknowledge()
        yield running
        running.summary = generator.finish(interrupt=True)
        running.code = generator.process.returncode
        outcomes = generator.outcomes()
    print(running.summary)  # shown if it fails
    settled_counts(cluster.everywhere(), cluster.store)
    running.verdict = judged(outcomes, of_its_runs(outcomes, stored_ids(cluster.store)), bounds)
