"""What clients see at each node's door (its Fabio) while something happens to a node.

There is a generator for each door, so every event has a door, and an even rate, so every event has
a moment when it was due. Or there is one generator that knows all doors, and leaves out one that
does not answer, as a careful client would.

    with Doors(tmp_path, keep_alive=False) as doors:
        ...
        doors.mark()                     # now it happens
        ...
    seen = doors.seen(living={"node-1", "node-2"})
"""

import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cluster.layout import NODES, TRAFFIC_PORT
from harness.generator import Generator
from harness.waiting import wait_for
from tgibf.outcome import Outcome

RATE = 50
"""Events per second at each door."""
TIMEOUT_SECONDS = 5
ALL_DOORS = "all"
"""In place of a node's name, if one client knows all doors."""
FEW = 0.01
"""A door whose requests fail less often is in service."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What clients saw from the moment that was marked."""

    recovered_seconds: float
    """Until fewer than 1 % of the requests at the doors of the living nodes failed, for good."""
    failed_share: float
    """Of the requests at those doors until then."""
    silent_seconds: float
    """The longest time in which one of those doors answered nothing."""
    unknown: int
    """At all doors, the hurt node's too."""
    refused: int
    attempted: int
    errors: Mapping[str, int]

    @property
    def failed(self) -> int:
        return self.unknown + self.refused


class Doors:
    """Load at the doors of all nodes, from `with` until its end."""

    def __init__(
        self, folder: Path, *, keep_alive: bool, one_client: bool = False, rate: int = RATE
    ) -> None:
        doors = {node.name: [node.url(TRAFFIC_PORT)] for node in NODES}
        self._rate = rate
        options = ["--timeout", f"{TIMEOUT_SECONDS}"] + ["--keep-alive"] * keep_alive
        if one_client:
            doors = {ALL_DOORS: [url for urls in doors.values() for url in urls]}
            self._rate = rate * len(NODES)
            options += ["--failover"]
        self._generators = {
            name: Generator(urls, folder / f"{name}.ledger", "--rate", f"{self._rate}", *options)
            for name, urls in doors.items()
        }
        self._began: dict[str, float] = {}
        self._marked = 0.0
        self._stack = ExitStack()
        self.outcomes: dict[str, dict[str, Outcome]] = {}
        """After the end: by door, of each event by its id."""
        self.errors: dict[str, int] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for generator in self._generators.values():
                stack.enter_context(generator)
            for name, generator in self._generators.items():
                wait_for(lambda g=generator: g.lines() > 1, f"events at {name}", 20, 0.005)  # type: ignore[misc]
                self._began[name] = time.monotonic() - (generator.lines() - 1) / self._rate
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._stack:
            if error is None:
                for name, generator in self._generators.items():
                    summary: dict[str, Any] = generator.finish(interrupt=True)
                    for one, number in summary["errors"].items():
                        self.errors[one] = self.errors.get(one, 0) + number
                    self.outcomes[name] = generator.outcomes()

    def mark(self) -> None:
        """Now it happens."""
        self._marked = time.monotonic()

    def all_outcomes(self) -> dict[str, Outcome]:
        """Of every event, by its id."""
        return {name: one for outcomes in self.outcomes.values() for name, one in outcomes.items()}

    def seen(self, living: Collection[str]) -> Seen:
        """After the end; `living` are the nodes that are not hurt."""
        since = {name: self._since(name) for name in self.outcomes}
        doors = {name: series for name, series in since.items() if name in {ALL_DOORS, *living}}
        recovered = _recovered_after(doors.values())
        until = [ok for series in doors.values() for due, ok in series if due < recovered]
        each = list(self.all_outcomes().values())
        return Seen(
            recovered,
            until.count(False) / len(until) if until else 0.0,
            max(_longest_silence(series, self._rate) for series in doors.values()),
            each.count(Outcome.UNKNOWN),
            each.count(Outcome.REFUSED),
            len(each),
            self.errors,
        )

    def _since(self, name: str) -> list[tuple[float, bool]]:
        """Of each event that was due after the mark: how many seconds after, and whether acked."""
        began = self._began[name] - self._marked
        numbered = sorted(
            (int(event.rpartition("-")[2]), outcome is Outcome.ACKED)
            for event, outcome in self.outcomes[name].items()
        )
        dues = ((began + number / self._rate, acked) for number, acked in numbered)
        return [(due, acked) for due, acked in dues if due >= 0]


def _recovered_after(doors: Collection[list[tuple[float, bool]]]) -> float:
    """Seconds until the last second in which 1 % or more failed was over; 0 if there was none."""
    seconds: dict[int, list[bool]] = {}
    for series in doors:
        for due, acked in series:
            seconds.setdefault(int(due), []).append(acked)
    bad = [second for second, acks in seconds.items() if acks.count(False) > FEW * len(acks)]
    return max(bad, default=-1) + 1.0


def _longest_silence(series: list[tuple[float, bool]], rate: int) -> float:
    longest = run = 0
    for _, acked in series:
        run = 0 if acked else run + 1
        longest = max(longest, run)
    return longest / rate
