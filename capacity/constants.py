"""The measured constants: `constants.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

FILE = Path(__file__).with_name("constants.toml")


@dataclass(frozen=True, slots=True)
class Measured:
    """A value, what it is of, and where it comes from."""

    value: float
    meaning: str
    command: str
    commit: str


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU time of an event in microseconds, by part."""

    webhook: float
    cassandra: float
    fabio: float
    agents: float

    @property
    def all(self) -> float:
        return self.webhook + self.cassandra + self.fabio + self.agents


@dataclass(frozen=True, slots=True)
class Constants:
    """All of them."""

    kept_alive: Costs
    new: Costs
    """Of a connection for each event."""
    disk_bytes: float
    reads_with_1_lane: float
    reads_with_16_lanes: float
    get_ms_with_1_lane: float
    get_ms_with_16_lanes: float

    @classmethod
    def of(cls, measured: Mapping[str, Measured]) -> Self:
        """Raises KeyError for one that is missing."""

        def costs(kind: str) -> Costs:
            parts = (field.name for field in fields(Costs))
            return Costs(*(measured[f"{kind}_{part}_us"].value for part in parts))

        others = [field.name for field in fields(cls)][2:]
        return cls(costs("kept_alive"), costs("new"), *(measured[name].value for name in others))


def measured() -> dict[str, Measured]:
    """Every constant of the file, by name."""
    with FILE.open("rb") as file:
        return {name: Measured(**table) for name, table in tomllib.load(file).items()}
