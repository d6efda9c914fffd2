"""What is kept of a run: `report.json`. Everything else in a report is made from it.

Times are Unix times in seconds. Figures measured over a time have its length in `seconds`.
"""

from pathlib import Path
from typing import Any

import msgspec

SCHEMA = 1
FILE = "report.json"


class RecordError(Exception):
    """The file is not a record that this version reads; the message says why."""


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from the moment an event was due to its 200; None if none was acknowledged."""

    p50: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class LoadSecond(msgspec.Struct):
    """A line of TGIBF's series: what one generator did in the `seconds` before `at`."""

    at: float
    seconds: float
    sent: int
    acked: int
    refused: int
    unknown: int
    errors: dict[str, int]
    in_flight: int
    behind_ms: float
    burst: int | None
    latency_ms: Latency


class CountSample(msgspec.Struct, omit_defaults=True):
    """An answer to `GET /events/count`, asked at `at`; without a count it is the `error`."""

    at: float
    seconds: float
    url: str
    count: int | None = None
    since: int | None = None
    """The first second of the window."""
    error: str = ""


class ReceiverSample(msgspec.Struct, omit_defaults=True):
    """What a receiver's `/metrics` said; totals are since its start."""

    at: float
    address: str
    version: str = ""
    events: dict[str, int] = {}
    """Totals by outcome: stored, refused, unknown, over_limit, queue_full."""
    writes: int = 0
    write_seconds: float = 0.0
    held_events: int = 0
    held_bytes: int = 0
    open_connections: int = 0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    error: str = ""


class AllocationSample(msgspec.Struct, omit_defaults=True):
    """How many allocations Nomad is to have, how many run, and how many take events."""

    at: float
    wanted: int = 0
    """By Nomad's job: what people or the autoscaler have asked for."""
    running: int = 0
    passing: int = 0
    by_node: dict[str, int] = {}
    """Those that take events."""
    asked: int | None = None
    """How many the autoscaler was last told to bring about; None where there is none."""
    error: str = ""


class MachineSample(msgspec.Struct, omit_defaults=True):
    """The machine that the load comes from, over the `seconds` before `at`. CPU is in cores."""

    at: float
    seconds: float
    cores: dict[str, float]
    """By what they did: user, system, interrupts, io_wait, stolen."""
    processes: dict[str, float]
    """By kind of process."""
    generators: dict[str, float]
    """Each generator's process alone."""
    memory_available_bytes: int
    connections: int
    """TCP sockets in use."""
    time_wait: int
    received_bytes: int = 0
    """Of the interface that events go through."""
    sent_bytes: int = 0


class Samples(msgspec.Struct):
    """Everything that was sampled, in order of time."""

    load: dict[str, list[LoadSecond]] = {}
    """By generator."""
    count: list[CountSample] = []
    receivers: list[ReceiverSample] = []
    allocations: list[AllocationSample] = []
    machine: list[MachineSample] = []


class Mark(msgspec.Struct, frozen=True):
    """Something that was done to the system at a moment."""

    at: float
    text: str


class TargetRecord(msgspec.Struct):
    """Where the events went."""

    name: str
    urls: list[str]
    store: str
    """Without a password; a SQLite file is relative to the report. Empty: not to be read."""
    window_seconds: int
    interface: str
    """By which this machine reaches it; empty if that is not known."""


class GeneratorRecord(msgspec.Struct):
    """One generator: its settings, and its own summary, None if it did not end in order."""

    name: str
    rate: float | None
    """Events per second; None for bursts, and for a rate that changes."""
    command: list[str]
    ledger: str
    """The file's name, in the report's folder for as long as it is kept."""
    summary: dict[str, Any] | None = None
    error: str = ""
    """How it broke off."""
    steps: list[tuple[float, float]] = []
    """From each second on, so many events per second; empty for bursts."""


class FinalCount(msgspec.Struct):
    """A count read when all had settled, and what it must be, by the rows or by the ledger."""

    url: str
    at: float
    since: int
    count: int
    low: int
    high: int

    @property
    def right(self) -> bool:
        return self.low <= self.count <= self.high


class LedgerVerdict(msgspec.Struct):
    """The ledger against the store, in the words of `tgibf.verdict`."""

    attempted: int
    acknowledged: int
    lost: int
    recovered: int
    unexpected: int
    unknown: int
    duplicates: int
    examples: dict[str, list[str]]
    """A few ids of each kind that breaks a promise."""
    incomplete: int = 0
    """Runs of which the ledger does not name every event."""

    @property
    def valid(self) -> bool:
        return not (self.lost or self.unexpected or self.duplicates or self.incomplete)


class CountVerdict(msgspec.Struct):
    """Every count that was read, compared with its bounds.

    `exact` says that the store's rows were read: the final counts then have one right value.
    """

    exact: bool
    final: list[FinalCount]
    checked: int
    """Counts read on the way."""
    wrong: list[CountSample]
    bounds: list[tuple[int, int]]
    """The bounds of each wrong count."""

    @property
    def valid(self) -> bool:
        return not self.wrong and bool(self.final) and all(one.right for one in self.final)


class Verdict(msgspec.Struct):
    """`ledger` is None if there is no store to read, `counts` if nothing could be judged.

    `broken` says why it could not. A run without an acknowledged event has shown nothing.
    """

    ledger: LedgerVerdict | None
    counts: CountVerdict | None
    broken: str = ""
    acknowledged: int | None = None
    """Events; None if nothing could be judged, and in records of versions that did not tell."""

    @property
    def valid(self) -> bool:
        ledger = self.ledger is None or self.ledger.valid
        judged = not self.broken and self.acknowledged != 0
        return judged and ledger and self.counts is not None and self.counts.valid


class Record(msgspec.Struct):
    """A run."""

    schema: int
    began: float
    """When the load began."""
    load_ended: float
    planned_seconds: float
    interrupted: bool
    target: TargetRecord
    baseline: list[tuple[int, int, int]]
    """What was counted before: slices of the window as (from, to, events)."""
    generators: list[GeneratorRecord]
    marks: list[Mark]
    warnings: list[str]
    machine: dict[str, str]
    versions: dict[str, str]
    commit: str
    samples: Samples
    verdict: Verdict

    @property
    def rate(self) -> float | None:
        """Events per second, for a steady load without bursts."""
        rates = [one.rate for one in self.generators]
        return None if None in rates else sum(rate for rate in rates if rate is not None)


def write_record(path: Path, record: Record) -> None:
    """Write the file, at once: a sample a line, so that it can be read and compared by people."""
    document = msgspec.to_builtins(record)
    samples = document.pop("samples")
    load = samples.pop("load")
    parts = [f'"load": {{{", ".join(_rows(name, rows) for name, rows in load.items())}}}']
    parts += [_rows(name, rows) for name, rows in samples.items()]
    head = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    text = head.removesuffix("\n}") + ',\n  "samples": {' + ",\n".join(parts) + "}\n}\n"
    new = path.with_suffix(".new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _rows(name: str, rows: list[Any]) -> str:
    lines = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    return f'"{name}": [\n{lines}\n]'


def read_record(path: Path) -> Record:
    """Raises RecordError for what is no record, or one of another schema."""
    try:
        text = path.read_bytes()
        schema = msgspec.json.decode(text, type=_Any).schema
        if schema != SCHEMA:
            raise RecordError(f"{path} has schema {schema}; this version reads {SCHEMA}")
        return msgspec.json.decode(text, type=Record)
    except OSError as error:
        raise RecordError(f"can't read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is not the record of a load test: {error}") from error


class _Any(msgspec.Struct):
    schema: int
