"""The judgement of a run: its ledger against the store, every count against both."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from loadtest.record import (
    CountSample,
    CountVerdict,
    FinalCount,
    LedgerVerdict,
    LoadSecond,
    Record,
)
from loadtest.verdict.expectation import Expectation, Received
from tgibf.ledger import LedgerError, Outcomes, read_ledger
from tgibf.verdict import judge
from webhook.clock import MICROSECONDS
from webhook.store.audit import each_stored, id_of

EXAMPLES = 5
TOLD_EVERY = 500_000

Told = Callable[[str], None]


class NotToBeJudgedError(Exception):
    """Ledger or store can't be read; the message says why."""


class Ledgers:
    """The ledgers of a run's generators, as one."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Raises NotToBeJudgedError."""
        self.outcomes = Outcomes()
        self.incomplete: set[str] = set()
        """Runs of which not every event is named: a generator was killed, or its disk was full."""
        try:
            for file in files:
                ledger = read_ledger(file, self.outcomes)
                if ledger.blank:
                    raise LedgerError(f"{file} is empty: it names no run")
                self.incomplete |= ledger.incomplete
        except (LedgerError, OSError) as error:
            raise NotToBeJudgedError(f"the ledger can't be read: {error}") from error
        self._runs = self.outcomes.runs | self.incomplete

    def has_run_of(self, name: str) -> bool:
        """Whether an id is of a run that is in the ledgers, be it there itself or not."""
        return name.rpartition("-")[0] in self._runs  # of tgibf.events.event_id


class StoreReading:
    """Goes once through all events of a store, of which some may be older than the run."""

    def __init__(self, store: str, ledgers: Ledgers, began: float, told: Told) -> None:
        """`began` is the Unix time of the run's beginning; `told` gets the progress."""
        self._store = store
        self._ledgers = ledgers
        self._began = int(began * MICROSECONDS)
        self._told = told
        self._own: Counter[int] = Counter()
        self._others: Counter[int] = Counter()

    @property
    def received(self) -> Received:
        """The rows by second, when all were read."""
        return Received(self._own, self._others)

    def ids(self) -> Iterator[str]:
        """The ids of this run's events, and of whatever else was received since it began."""
        for number, (received_at, body) in enumerate(each_stored(self._store), start=1):
            if number % TOLD_EVERY == 0:
                self._told(f"{number:,} events of the store read")
            name = id_of(body)
            second = received_at // MICROSECONDS
            if name is not None and self._ledgers.has_run_of(name):
                self._own[second] += 1
                yield name
                continue
            self._others[second] += 1
            if received_at >= self._began:
                yield f"{name or 'no id'}, received at {received_at} us"


def judge_ledger(
    files: Sequence[Path], store: str, began: float, told: Told
) -> tuple[LedgerVerdict, Received]:
    """Compare the ledgers with the store. Raises NotToBeJudgedError, StartError."""
    ledgers = Ledgers(files)
    told(f"{len(ledgers.outcomes):,} outcomes in the ledger")
    reading = StoreReading(store, ledgers, began, told)
    found = judge(ledgers.outcomes, reading.ids(), ledgers.incomplete)
    if ledgers.incomplete:
        told(
            f"{len(ledgers.incomplete)} ledgers are not whole: a generator was killed, or its disk "
            f"was full. On {len(found.unnamed):,} stored events that they don't name there is no "
            "verdict"
        )
    kinds = ("lost", "unexpected", "duplicates")
    return (
        LedgerVerdict(
            attempted=found.attempted,
            acknowledged=found.acknowledged,
            lost=len(found.lost),
            recovered=len(found.recovered),
            unexpected=len(found.unexpected),
            unknown=len(found.unknown),
            duplicates=len(found.duplicates),
            examples={
                kind: sorted(names)[:EXAMPLES] for kind in kinds if (names := getattr(found, kind))
            },
            incomplete=len(ledgers.incomplete),
        ),
        reading.received,
    )


def judge_counts(
    samples: Sequence[CountSample],
    final: Sequence[CountSample],
    load: Mapping[str, Sequence[LoadSecond]],
    received: Received | None,
    baseline: Sequence[tuple[int, int, int]],
) -> CountVerdict:
    """Compare every count with its bounds; `final` are those read when all had settled."""
    expectation = Expectation(load, received, baseline)
    verdict = CountVerdict(exact=received is not None, final=[], checked=0, wrong=[], bounds=[])
    for sample in samples:
        if sample.count is None:
            continue
        verdict.checked += 1
        low, high = expectation.of(sample)
        if not low <= sample.count <= high:
            verdict.wrong.append(sample)
            verdict.bounds.append((low, high))
    for sample in final:
        if sample.count is None or sample.since is None:
            continue
        low, high = expectation.finally_of(sample.since)
        verdict.final.append(
            FinalCount(sample.url, sample.at, sample.since, sample.count, low, high)
        )
    return verdict


def acknowledged(ledger: LedgerVerdict | None, load: Mapping[str, Sequence[LoadSecond]]) -> int:
    """How many events were acknowledged, by the ledger if it was read, else by the series."""
    if ledger is not None:
        return ledger.acknowledged
    return sum(second.acked for seconds in load.values() for second in seconds)


def judge_again(record: Record, directory: Path, store: str, told: Told) -> None:
    """Judge a finished run again, into its record. Raises NotToBeJudgedError, StartError."""
    files = [directory / generator.ledger for generator in record.generators]
    ledger, received = judge_ledger(files, store, record.began, told)
    counts = record.verdict.counts
    final = [] if counts is None else counts.final
    record.verdict.ledger = ledger
    record.verdict.acknowledged = acknowledged(ledger, record.samples.load)
    record.verdict.counts = judge_counts(
        record.samples.count,
        [CountSample(one.at, 0.0, one.url, one.count, one.since) for one in final],
        record.samples.load,
        received,
        record.baseline,
    )


def reasons(record: Record) -> list[str]:
    """Why a run is not valid."""
    verdict = record.verdict
    broken = [verdict.broken] if verdict.broken else []
    nothing = ["no event was acknowledged: the run shows nothing"]
    return [
        *broken,
        *(nothing if verdict.acknowledged == 0 else []),
        *_of_ledger(verdict.ledger),
        *_of_counts(verdict.counts),
    ]


def _of_ledger(ledger: LedgerVerdict | None) -> Iterator[str]:
    if ledger is None:
        return
    if ledger.lost:
        yield f"{ledger.lost:,} acknowledged events are not in the store"
    if ledger.unexpected:
        yield f"{ledger.unexpected:,} events are in the store that were refused or never sent"
    if ledger.duplicates:
        yield f"{ledger.duplicates:,} events are in the store more than once"
    if ledger.incomplete:
        yield "the ledger does not name every event, so there is no verdict on the others"


def _of_counts(counts: CountVerdict | None) -> Iterator[str]:
    if counts is None:
        return
    if not counts.final:
        yield "no receiver answered with a count at the end"
    for one in counts.final:
        if not one.right:
            yield f"the last count at {one.url} was {one.count:,}, not {between(one.low, one.high)}"
    if counts.wrong:
        yield f"{len(counts.wrong):,} of {counts.checked:,} counts were outside their bounds"


def between(low: int, high: int) -> str:
    """What a count may be, in words."""
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
