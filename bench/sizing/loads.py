"""The loads that the count has to follow, as options of `scripts/loadtest`. Pure arithmetic."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

RAMP_STEP_SECONDS = 5
LEAST_PART = 0.5
"""Of what one allocation takes: where a ramp begins and ends."""
STEADY_PART, NOISE = 1.2, 0.6
"""The mean, of what one allocation takes, and how far a second may be off it."""
BURST_SECONDS = 2.2
"""From one burst to the next: TGIBF's pause of 2 s, and the burst."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a load is, and how long it lasts."""

    limit: int
    """Events/s that one allocation takes."""
    most: int
    """Allocations that there can be."""
    seconds: int
    seed: int

    @property
    def top(self) -> int:
        """Events/s at the highest, which one allocation fewer than there can be take."""
        return (self.most - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Load:
    """A load of so many seconds."""

    options: tuple[str, ...]
    """Of `scripts/loadtest`."""
    seconds: int
    rises_at: float | None = None
    """The second of its step; None if it has none."""
    falls_at: float | None = None
    needs: int = 0
    """How many allocations take it after the step."""
    top: float = 0.0
    """Events/s after the step."""


def step(shape: Shape) -> Load:
    """As much as one allocation takes, at once the top, and after half of the time back."""
    rises, falls = shape.seconds // 4, shape.seconds * 3 // 4
    low = float(shape.limit)
    rates = [(0, low), (rises, float(shape.top)), (falls, low)]
    return Load(_steps(rates), shape.seconds, rises, falls, shape.most - 1, shape.top)


def ramp(shape: Shape) -> Load:
    """From half of what one takes up to the top, and down again."""
    half = shape.seconds / 2
    low = LEAST_PART * shape.limit
    rates = []
    for second in range(0, shape.seconds, RAMP_STEP_SECONDS):
        height = 1 - abs(second + RAMP_STEP_SECONDS / 2 - half) / half
        rates.append((second, low + (shape.top - low) * height))
    return Load(_steps(rates), shape.seconds)


def bursts(shape: Shape) -> Load:
    """TGIBF's bursts: each is larger, the last about what all allocations take within a second."""
    number = max(1, int(shape.seconds / BURST_SECONDS))
    size = max(1, round(shape.most * shape.limit / number))
    return Load(("--bursts", "--burst-size", str(size)), shape.seconds)


def steady(shape: Shape) -> Load:
    """Each second's rate is drawn anew around one mean, which no count but one suits."""
    random = Random(shape.seed)  # noqa: S311 - the same for each that is compared
    mean = STEADY_PART * shape.limit
    rates = [
        (second, mean * (1 + random.uniform(-NOISE, NOISE))) for second in range(shape.seconds)
    ]
    return Load(_steps(rates), shape.seconds)


def constant(shape: Shape) -> Load:
    """Four fifths of what one allocation takes."""
    return Load(("--rate", f"{0.8 * shape.limit:g}"), shape.seconds)


def control(limit: int, allocations: int, seconds: int) -> Load:
    """As much as so many allocations take, then twice as much."""
    fits = float(limit * allocations)
    rises = seconds // 2
    return Load(_steps([(0, fits), (rises, 2 * fits)]), seconds, rises, seconds, allocations, fits)


LOADS: dict[str, tuple[str, Callable[[Shape], Load]]] = {
    "ramp": ("from half of a limit up to the top, and down again", ramp),
    "step": ("one limit, at once the top, and back", step),
    "bursts": ("TGIBF's bursts, growing to what all allocations take within a second", bursts),
    "steady": (f"{STEADY_PART:g} limits, each second off by up to {NOISE:.0%}", steady),
}


def _steps(rates: Iterable[tuple[int, float]]) -> tuple[str, ...]:
    return ("--step", ",".join(f"{second}:{rate:.1f}" for second, rate in rates))
