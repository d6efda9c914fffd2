"""TGIBF in the background, with a ledger."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from harness.waiting import wait_for
from tgibf.ledger import read_ledger
from tgibf.outcome import Outcome
from tools.root import ROOT


class Generator:
    """`python -m tgibf` with `options`, from `with` until its end."""

    def __init__(self, urls: list[str], ledger: Path, *options: str) -> None:
        self.ledger = ledger
        self._command = [sys.executable, "-m", "tgibf", *urls]
        self._command += ["--ledger", str(ledger), "--json", "--quiet", *options]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def lines(self) -> int:
        """How many outcomes the ledger has so far."""
        return self.ledger.read_bytes().count(b"\n") if self.ledger.exists() else 0

    def acknowledged(self) -> int:
        """How many events the ledger has as acked so far."""
        return self.ledger.read_bytes().count(b" acked\n") if self.ledger.exists() else 0

    def wait_for_lines(self, lines: int) -> None:
        """Return when the ledger has so many outcomes."""
        wait_for(lambda: self.lines() >= lines, f"{lines} lines in the ledger", 60)

    def acknowledge(self, events: int, seconds: float = 60) -> None:
        """Return when so many more events were acknowledged."""
        target = self.acknowledged() + events
        wait_for(
            lambda: self.acknowledged() >= target, f"{events} more acknowledged events", seconds
        )

    def finish(self, *, interrupt: bool = False) -> dict[str, Any]:
        """Wait for its end, after a Ctrl-C if `interrupt`; its summary."""
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=120)
        assert self.process.returncode in {0, 1}
        summary: dict[str, Any] = json.loads(output)
        return summary

    def outcomes(self) -> dict[str, Outcome]:
        """The whole ledger, which must not be torn."""
        contents = read_ledger(self.ledger)
        assert contents.torn is None
        return dict(contents.outcomes)
