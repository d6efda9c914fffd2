"""A run, as `report.json` of the load test has it: the part of it that is measured here.

loadtest/record.py describes every figure. Times are Unix times in seconds.
"""

from pathlib import Path
from typing import Any

import msgspec


class RecordError(Exception):
    """It can't be read; the message says why."""


class Latency(msgspec.Struct):
    p99: float | None = None


class Second(msgspec.Struct):
    """What the generator did in the `seconds` before `at`."""

    at: float
    seconds: float
    sent: int
    acked: int
    refused: int
    unknown: int
    errors: dict[str, int] = {}


class Allocations(msgspec.Struct):
    """At a moment: `wanted` is what Nomad was told, `passing` how many take events."""

    at: float
    wanted: int = 0
    running: int = 0
    passing: int = 0
    error: str = ""


class Receiver(msgspec.Struct):
    """What one said of itself; totals are since its start."""

    at: float
    address: str
    events: dict[str, int] = {}
    cpu_seconds: float = 0.0
    error: str = ""


class Machine(msgspec.Struct):
    """In the `seconds` before `at`: cores in use, by what they did."""

    at: float
    seconds: float
    cores: dict[str, float]


class Samples(msgspec.Struct):
    load: dict[str, list[Second]] = {}
    allocations: list[Allocations] = []
    receivers: list[Receiver] = []
    machine: list[Machine] = []


class Generator(msgspec.Struct):
    summary: dict[str, Any] | None = None


class Run(msgspec.Struct):
    """A run of one load."""

    began: float
    load_ended: float
    samples: Samples
    generators: list[Generator] = []
    machine: dict[str, str] = {}
    valid: bool = True
    """Whether no event was lost and every count right: by the load test's exit code."""

    @property
    def seconds(self) -> list[Second]:
        """Of the load's one generator."""
        return [one for seconds in self.samples.load.values() for one in seconds]

    @property
    def allocations(self) -> list[Allocations]:
        """The samples during the load that have figures."""
        return [
            one
            for one in self.samples.allocations
            if not one.error and self.began <= one.at <= self.load_ended
        ]

    @property
    def cores(self) -> int:
        """Of the machine."""
        return int(self.machine.get("cores", "1"))


def read_run(path: Path, *, valid: bool) -> Run:
    """Raises RecordError."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as error:
        raise RecordError(f"can't read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is no report of a load test: {error}") from error
    run.valid = valid
    return run
