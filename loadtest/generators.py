"""TGIBF in separate processes: it records what it sends in a ledger and in a series."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from loadtest.plan import Load
from loadtest.record import GeneratorRecord, LoadSecond
from tools.root import ROOT

ENDED_IN_ORDER = {0, 1}  # all acknowledged, or not all


class Generator:
    """One generator; leaving its context ends it."""

    def __init__(self, load: Load, urls: Sequence[str], seconds: float, directory: Path) -> None:
        """Its ledger goes into `directory`, and its series for as long as it runs."""
        self.load = load
        self.seconds: list[LoadSecond] = []
        """What it has done so far, by `follow`."""
        self.totals = dict.fromkeys(("sent", "acked", "refused", "unknown"), 0)
        self.ledger = directory / f"ledger-{load.name}"
        self._series = directory / f"series-{load.name}.jsonl"
        self._read = 0
        self._interrupted = 0
        self._options = [*load.options, "--seconds", f"{seconds:g}"]
        self._urls = urls
        self._process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """A Ctrl-C is for its owner: it has a process group of its own."""
        command = [sys.executable, "-m", "tgibf", *self._urls, *self._options]
        command += ["--ledger", str(self.ledger), "--series", str(self._series)]
        self._process = subprocess.Popen(
            [*command, "--json", "--quiet"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def interrupt(self, times: int) -> None:
        """Have it start nothing new; if `times` is 2, give up what is in flight.

        Until it has written its first figures it may not be listening yet: ask again.
        """
        while self._interrupted < times and self.seconds and self.runs:
            self._process.send_signal(signal.SIGINT)
            self._interrupted += 1

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def follow(self) -> None:
        """Read the lines of the series that are new."""
        if not self._series.exists():
            return
        with self._series.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            second = msgspec.json.decode(line, type=LoadSecond)
            self.seconds.append(second)
            for name in self.totals:
                self.totals[name] += getattr(second, name)

    def finish(self) -> GeneratorRecord:
        """What it has to say when it has ended."""
        output, complaints = self._process.communicate()
        self.follow()
        record = GeneratorRecord(
            name=self.load.name,
            rate=self.load.rate,
            steps=[(float(step.second), float(step.rate)) for step in self.load.steps],
            command=["python", "-m", "tgibf", *self._urls, *self._options],
            ledger=self.ledger.name,
        )
        if self._process.returncode in ENDED_IN_ORDER and output:
            record.summary = json.loads(output)
        else:
            last = complaints.strip().splitlines()[-1:] or ["without a word"]
            record.error = f"TGIBF broke off: {last[0]}"
        return record

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.runs:
            self._process.kill()
            self._process.communicate()
        self._series.unlink(missing_ok=True)
