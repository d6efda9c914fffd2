"""When each POST of the steady mode is due: pure arithmetic."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf

LEAST_RATE, HIGHEST_RATE = 0.001, 1_000_000.0


class ScheduleError(ValueError):
    """There is no such schedule; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Step:
    """From `second` after the beginning on, `rate` events per second."""

    second: float
    rate: float


class Schedule:
    """POSTs of `batch` events at even intervals, which change with each step's rate."""

    def __init__(self, steps: Sequence[Step], batch: int = 1) -> None:
        """The first step begins at second 0, each other one later than the one before."""
        self._starts = [step.second for step in steps]
        self._per_second = [step.rate / batch for step in steps]
        self._before = [0.0]
        """POSTs that come before each step, as a real number."""
        for step, later in pairwise(steps):
            self._before.append(self._before[-1] + (later.second - step.second) * step.rate / batch)

    def due(self, post: int) -> float:
        """Seconds from the beginning to the POST of this number, which counts from 0."""
        at = bisect_right(self._before, post) - 1
        return self._starts[at] + (post - self._before[at]) / self._per_second[at]

    def posts_within(self, seconds: float) -> float:
        """How many are due before `seconds` (a whole number, or infinity)."""
        if seconds == inf:
            return inf
        at = bisect_right(self._starts, seconds) - 1
        exact = self._before[at] + (seconds - self._starts[at]) * self._per_second[at]
        return ceil(exact - 1e-9 * max(1.0, exact))


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps in a text such as `0:100,120:600,600:100`. Raises ScheduleError."""
    steps = [_parse_step(part.strip()) for part in text.split(",")]
    if steps[0].second != 0:
        raise ScheduleError(f"the first step is at second {steps[0].second:g}; it must be at 0")
    for one, later in pairwise(steps):
        if later.second <= one.second:
            raise ScheduleError(f"second {later.second:g} does not come after {one.second:g}")
    return tuple(steps)


def _parse_step(text: str) -> Step:
    second, _, rate = text.partition(":")
    try:
        step = Step(float(second), float(rate))
    except ValueError:
        raise ScheduleError(f"{text!r} is not SECOND:RATE, such as 120:600") from None
    if not 0 <= step.second < inf:
        raise ScheduleError(f"{text!r}: a second is 0 or more")
    if not LEAST_RATE <= step.rate <= HIGHEST_RATE:
        raise ScheduleError(f"{text!r}: a rate is {LEAST_RATE:g} to {HIGHEST_RATE:,.0f} events/s")
    return step


def show_steps(steps: Sequence[Step]) -> str:
    """A single rate as it is, several in order: `100/s` or `100, 600, 100/s`."""
    return ", ".join(f"{step.rate:,g}" for step in steps) + "/s"
