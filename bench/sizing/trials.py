"""The load test as a child: it sends, samples once per second, and judges every event."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.sizing.loads import Load
from bench.sizing.record import RecordError, Run, read_run
from bench.sizing.staging import StagingError
from harness.waiting import wait_for
from tools.root import ROOT
from tools.say import say
from tools.stops import stops_put_off

BEGIN_SECONDS = 120.0
JUDGE_SECONDS = 900.0
"""After the load: what is in flight, the comparison with the store, the charts."""
GIVE_UP_SECONDS = 60.0
LOG_LINES = 5
JUDGED = {0, 1}


class TrialError(Exception):
    """A load test did not come to a report; the message has its last words."""


FAILURES = (StagingError, TrialError, RecordError, TimeoutError)
"""What becomes of a run that can't be had."""
MOST_IN_A_ROW = 3


class Trial:
    """A load test that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", load: Load, folder: Path) -> None:
        self._process = process
        self._load = load
        self._folder = folder
        self._began = 0.0

    def await_second(self, second: float) -> None:
        """Return at that second of the load. Raises TrialError."""
        if not self._began:
            self._await_begin()
        time.sleep(max(0.0, self._began + second - time.monotonic()))

    def finish(self) -> Run:
        """The record, when it is judged. Raises TrialError."""
        try:
            code = self._process.wait(self._load.seconds + JUDGE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TrialError(f"it did not end; see {self._log}") from error
        if code not in JUDGED:
            raise TrialError(f"exit code {code}: {self._last_words()}")
        return read_run(self._report / "report.json", valid=code == 0)

    @property
    def _report(self) -> Path:
        return self._folder / "report"

    @property
    def _log(self) -> Path:
        return self._folder / "loadtest.log"

    def _await_begin(self) -> None:
        """The series has its first line a second after the load's beginning."""

        def begun() -> bool:
            if self._process.poll() is not None:
                raise TrialError(f"it ended before its load began: {self._last_words()}")
            return any(file.stat().st_size for file in self._report.glob("series-*.jsonl"))

        wait_for(begun, "the load's beginning", BEGIN_SECONDS, 0.05)
        self._began = time.monotonic() - 1

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-LOG_LINES:]) or "without a word"


class Patience:
    """A run that can't be had is told and left out; the third one in a row ends it all."""

    def __init__(self) -> None:
        self._in_a_row = 0

    @contextmanager
    def kept(self, where: str) -> Iterator[None]:
        """Have a failure of the block told; raises the third one in a row."""
        try:
            yield
        except FAILURES as error:
            self._in_a_row += 1
            say(f"{where} is left out: {error}")
            if self._in_a_row == MOST_IN_A_ROW:
                raise
        else:
            self._in_a_row = 0


@contextmanager
def trial(load: Load, folder: Path, target: str = "cluster") -> Iterator[Trial]:
    """A load test, with its report and its log in the new folder; against the cluster, mostly.

    It hears no Ctrl-C of the terminal's: what leaves the block early ends it in order.
    """
    folder.mkdir(parents=True)
    command = [str(ROOT / "scripts" / "loadtest"), "--target", target, *load.options]
    command += ["--seconds", str(load.seconds), "--report", str(folder / "report")]
    with (folder / "loadtest.log").open("wb") as log:
        with stops_put_off():
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            yield Trial(process, load, folder)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Have it give up, with all that it has started; its third Ctrl-C is the last."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
    process.kill()
    process.wait()
