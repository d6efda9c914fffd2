"""The figures of a report for programs: `summary.json`."""

from dataclasses import asdict
from typing import Any

import msgspec

from loadtest.record import Record
from loadtest.report import figures
from loadtest.verdict.judging import reasons

FILE = "summary.json"


def summary(record: Record) -> str:
    """The summary as JSON: all but the samples."""
    plateau = figures.plateau(record)
    seconds = figures.duration(record)
    totals = figures.totals(record)
    document: dict[str, Any] = {
        "valid": record.verdict.valid,
        "reasons": reasons(record),
        "target": record.target,
        "began": record.began,
        "seconds": round(seconds, 3),
        "interrupted": record.interrupted,
        **totals,
        "events_per_second": round(totals["acked"] / seconds, 1) if seconds else 0.0,
        "errors": figures.errors(record),
        "largest_count": figures.peak(record),
        "plateau": plateau and asdict(plateau),
        "ledger": record.verdict.ledger,
        "counts": record.verdict.counts,
        "cpu_us_per_event": {
            kind: round(value, 1) for kind, value in figures.cpu_per_event(record).items()
        },
        "bytes_per_event": _rounded(figures.bytes_per_event(record)),
        "events_per_write": _rounded(figures.events_per_write(record)),
        "generators": record.generators,
        "marks": [
            {"second": round(mark.at - record.began, 1), "text": mark.text} for mark in record.marks
        ],
        "warnings": record.warnings,
        "machine": record.machine,
        "versions": record.versions,
        "commit": record.commit,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
