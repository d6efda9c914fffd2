"""What the script does once its arguments are read and its packages are there."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.arguments import Again, Judge
from loadtest.plan import Plan
from loadtest.record import FILE, Record, RecordError, read_record
from loadtest.report import writing as report
from loadtest.report.page import LEDGER_MEANINGS
from loadtest.run import run
from loadtest.targets.contract import TargetUnavailable
from loadtest.verdict.judging import NotToBeJudgedError, judge_again, reasons
from tools.say import fail, say
from webhook.store.contract import StartError
from webhook.store.sqlite.url import sqlite_path_or_none

COULD_NOT_BEGIN = 2


def main(wish: Plan | Again | Judge) -> int:
    """Do it; the exit code."""
    match wish:
        case Again():
            return _again(wish)
        case Judge():
            return _judge(wish)
        case Plan():
            return _run(wish)


def _run(plan: Plan) -> int:
    try:
        directory = plan.report.resolve()
        directory.mkdir(parents=True)
    except OSError as error:
        fail(f"--report {plan.report}: {error.strerror}; name a new folder", COULD_NOT_BEGIN)
    try:
        record = run(plan, directory)
    except (TargetUnavailable, RuntimeError) as error:
        shutil.rmtree(directory)
        fail(str(error), COULD_NOT_BEGIN)
    except (KeyboardInterrupt, SystemExit):  # a stop
        shutil.rmtree(directory)
        say("given up: there is no report")
        raise
    say("drawing the report")

    def write() -> None:
        report.write(directory, record)
        if record.verdict.valid and not plan.keep:
            report.tidy(directory, record)

    return _tell(directory, record, write)


def _again(wish: Again) -> int:
    directory, record = wish.record.parent, _read(wish.record)
    return _tell(directory, record, lambda: report.draw(directory, record))


def _judge(wish: Judge) -> int:
    try:
        directory = wish.directory.resolve()
    except OSError as error:
        fail(f"--judge {wish.directory}: {error.strerror}", COULD_NOT_BEGIN)
    record = _read(directory / FILE)
    store = wish.store or _absolute(record.target.store, directory)
    if not store:
        fail("the run's store is not known; name it with --store", COULD_NOT_BEGIN)
    try:
        judge_again(record, directory, store, say)
    except (NotToBeJudgedError, StartError) as error:
        fail(f"{error}\n       A run can be judged as long as all is kept: --keep", COULD_NOT_BEGIN)
    return _tell(directory, record, lambda: report.write(directory, record))


def _read(path: Path) -> Record:
    try:
        return read_record(path)
    except RecordError as error:
        fail(str(error), COULD_NOT_BEGIN)


def _absolute(store: str, directory: Path) -> str:
    """A store's URL; a SQLite file's is relative to the report."""
    path = sqlite_path_or_none(store)
    return store if path is None else f"sqlite:///{directory / path}"


def _tell(directory: Path, record: Record, write: Callable[[], None]) -> int:
    """Write the report, and tell the outcome in a few lines; the exit code."""
    failure = None
    try:
        write()
    except OSError as error:  # which is no reason to keep the outcome back
        failure = error
    verdict = record.verdict
    if verdict.ledger is not None:
        for word in LEDGER_MEANINGS:
            print(f"{word:<13} {getattr(verdict.ledger, word)}")
    if verdict.counts is not None:
        right = verdict.counts.checked - len(verdict.counts.wrong)
        print(f"{'counts right':<13} {right} of {verdict.counts.checked}")
    for warning in record.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for reason in reasons(record):
        print(f"why: {reason}")
    print("valid" if verdict.valid else "INVALID")
    if failure is not None:
        fail(f"the report in {directory} is not whole: {failure.strerror or failure}")
    say(f"the report: {directory / report.PAGE}")
    return 0 if verdict.valid else 1
