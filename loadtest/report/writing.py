"""The report's folder: what is written there, and what stays."""

from pathlib import Path

from loadtest.record import FILE, Record, write_record
from loadtest.report import charts, summary
from loadtest.report.page import page
from loadtest.targets.demo import STORE_FILE

PAGE = "index.html"


def write(directory: Path, record: Record) -> None:
    """The record, and what is made of it."""
    write_record(directory / FILE, record)
    draw(directory, record)


def draw(directory: Path, record: Record) -> None:
    """The page, the pictures and the summary: from the same record the same bytes."""
    svgs = {}
    for name, svg, png in charts.drawn(record):
        svgs[name] = svg
        (directory / f"{name}.png").write_bytes(png)
    (directory / PAGE).write_text(page(record, svgs), encoding="utf-8")
    (directory / summary.FILE).write_text(summary.summary(record), encoding="utf-8")


def tidy(directory: Path, record: Record) -> None:
    """Remove what a run needed to be judged: the ledgers, and the demonstration's store."""
    names = [generator.ledger for generator in record.generators]
    names += [f"{STORE_FILE}{suffix}" for suffix in ("", "-wal", "-shm", ".lock")]
    for name in names:
        (directory / name).unlink(missing_ok=True)
