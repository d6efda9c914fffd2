"""The verdict on a run: ledger against store, and every receiver's count against the rows."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.http import count
from harness.waiting import wait_until_none
from tgibf.outcome import Outcome
from tgibf.verdict import Verdict, judge
from webhook.clock import MICROSECONDS
from webhook.store.audit import stored

# 40 s after its minute's end receivers settle what a dead one left (store/cassandra/settling.py).
SETTLE_SECONDS = 130.0


@dataclass(frozen=True)
class Bounds:
    """What a run must show: at least so many acknowledged, at most so many unknown."""

    acknowledged: int
    unknown: int


def settled_counts(urls: Sequence[str], store: str) -> None:
    """Return when every count, of the receivers at `urls`, equals the rows of its window.

    Until a write of unknown outcome has settled, counts may differ by it.
    """

    def differences() -> list[str]:
        counts = {count(url) for url in urls}
        rows = [received_at for received_at, _ in stored(store)]
        expected = {one: len(rows) - bisect_left(rows, one.since * MICROSECONDS) for one in counts}
        return [f"{one}, rows {rows}" for one, rows in expected.items() if one.events != rows]

    wait_until_none(differences, "counts that differ from the rows", SETTLE_SECONDS, 0.5)


def judged(outcomes: Mapping[str, Outcome], ids: Iterable[str], bounds: Bounds) -> str:
    """The verdict on the ids that are stored, in a line; it must be valid and within the bounds."""
    verdict = judge(outcomes, ids)
    line = describe(verdict)
    assert verdict.valid, line
    assert verdict.acknowledged >= bounds.acknowledged, line
    assert len(verdict.recovered) + len(verdict.unknown) <= bounds.unknown, line
    return line


def of_its_runs(outcomes: Mapping[str, Outcome], ids: Iterable[str]) -> Iterator[str]:
    """Those of the ids that the ledger's own runs have made, for a store that has others too."""
    runs = {_run(name) for name in outcomes}
    return (name for name in ids if _run(name) in runs)


def _run(name: str) -> str:
    return name.rpartition("-")[0]  # of tgibf.events.event_id


def describe(verdict: Verdict) -> str:
    """The verdict in a line."""
    return (
        f"attempted {verdict.attempted}, acknowledged {verdict.acknowledged}, "
        f"lost {len(verdict.lost)}, recovered {len(verdict.recovered)}, "
        f"unexpected {len(verdict.unexpected)}, unknown {len(verdict.unknown)}: "
        f"{'valid' if verdict.valid else 'INVALID'}"
    )
