"""The plan of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tgibf.schedule import Step as RateStep


class PlanError(ValueError):
    """The request is not possible; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Step:
    """From `second` after the beginning on, `count` allocations are wanted."""

    second: float
    count: int


@dataclass(frozen=True, slots=True)
class Load:
    """What one generator is to send: bursts, or events at the rate of each step."""

    name: str
    steps: tuple[RateStep, ...]
    """Empty for bursts."""
    options: tuple[str, ...]

    @property
    def rate(self) -> float | None:
        """Events per second; None for bursts, and for a rate that changes."""
        return self.steps[0].rate if len(self.steps) == 1 else None


@dataclass(frozen=True, slots=True)
class Plan:
    """A load test, validated."""

    target: str
    """A URL, or the name of a target."""
    seconds: float
    loads: tuple[Load, ...]
    steps: tuple[Step, ...]
    store: str
    """Of a bare URL: where its events are stored; empty for none."""
    window_seconds: int
    """Of the demonstration's receiver."""
    port: int
    """Of the demonstration's receiver, if it is free."""
    report: Path
    """The folder of the report, to be made."""
    keep: bool
    """Whether ledgers and the demonstration's store stay when the run is judged."""


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps in a text such as `300:4,900:1`, each later than the one before.

    Raises PlanError.
    """
    steps = []
    for part in text.split(","):
        second, colon, count = part.strip().partition(":")
        if not (colon and second.isascii() and second.isdecimal() and count.isdecimal()):
            raise PlanError(f"{part!r} is not SECOND:COUNT, such as 300:4")
        steps.append(Step(int(second), int(count)))
    _check_order(steps)
    return tuple(steps)


def _check_order(steps: Sequence[Step]) -> None:
    for one, next_one in pairwise(steps):
        if next_one.second <= one.second:
            raise PlanError(f"second {next_one.second:g} does not come after {one.second:g}")
    if any(step.count < 1 for step in steps):
        raise PlanError("a count of 0 leaves nobody to take events; allowed is 1 or more")
