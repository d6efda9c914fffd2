"""Medians, spread and ratios."""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one thing measured several times."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    def show(self, digits: int = 0) -> str:
        """Median, and from smallest to largest."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def ratio(one: Sequence[float], other: Sequence[float]) -> str:
    """How many times `other` `one` is, pair by pair: median and spread."""
    return Figures([a / b for a, b in zip(one, other, strict=True)]).show(2)


def conditions() -> str:
    """Where and on what this ran."""
    commit = _output("git", "describe", "--always", "--dirty", "--abbrev=12")
    cores = _output("nproc")
    return f"commit {commit}, {cores} cores, Linux {platform.release()}, Python " + (
        platform.python_version()
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
