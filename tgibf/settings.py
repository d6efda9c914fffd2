"""The settings of a run."""

from dataclasses import dataclass
from pathlib import Path

from tgibf.key import Key
from tgibf.schedule import Step
from tgibf.target import Target


@dataclass(frozen=True, slots=True)
class BurstPlan:
    """Bursts: burst i has i x `size` events; `pause` is in seconds; `bursts` None is no end."""

    size: int = 1000
    pause: float = 2.0
    bursts: int | None = None

    name = "burst"


@dataclass(frozen=True, slots=True)
class SteadyPlan:
    """Events at even intervals, at the rate of each step; the first begins at second 0."""

    steps: tuple[Step, ...]

    name = "steady"


@dataclass(frozen=True, slots=True)
class Settings:
    """A run, validated. `timeout` and `seconds` are in seconds; `seconds` None is no end."""

    targets: tuple[Target, ...]
    plan: BurstPlan | SteadyPlan
    seconds: float | None
    batch: int
    keep_alive: bool
    failover: bool
    timeout: float
    seed: int | None
    key: Key | None
    ledger: Path | None
    append_ledger: bool
    series: Path | None
    json: bool
    quiet: bool
