"""The series: a file with one JSON line for every second of a run.

    {"at": 1795425600.5, "seconds": 1.0, "sent": 500, "acked": 498, "refused": 0, "unknown": 0,
     "errors": {}, "in_flight": 2, "behind_ms": 0.4, "burst": null,
     "latency_ms": {"p50": 1.3, "p99": 4.1, "p99_9": 6.0, "max": 6.2}}

`at` is the Unix time at which the line was written. All figures are of the `seconds` before it,
including `behind_ms` and `latency_ms`. `burst` is the number of the latest burst; null in steady
mode.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path

from tgibf.kept_file import KeptFile
from tgibf.tally import Tally


class SeriesError(ValueError):
    """A series that cannot be written; the message says why."""


class Series(KeptFile):
    """Writes what has happened since the last line. `second` counts it, beside the run's tally."""

    def __init__(self, path: Path) -> None:
        """Raises SeriesError if there is such a file already, or it cannot be made."""
        try:
            super().__init__(path, new=True)
        except OSError as error:
            raise SeriesError(f"cannot write the series: {error}") from error
        self.second = Tally()
        self.burst: int | None = None
        self._in_flight = 0
        self._began = time.monotonic()

    def tick(self) -> None:
        """Write a line and begin the next second."""
        now = time.monotonic()
        second, self.second = self.second, Tally()
        self._in_flight += second.sent - second.settled
        line = {
            "at": round(time.time(), 3),
            "seconds": round(now - self._began, 3),
            "sent": second.sent,
            "acked": second.acked,
            "refused": second.refused,
            "unknown": second.unknown,
            "errors": dict(second.errors.most_common()),
            "in_flight": self._in_flight,
            "behind_ms": round(second.behind * 1000, 3),
            "burst": self.burst,
            "latency_ms": asdict(second.latency()),
        }
        self._began = now
        self.write(f"{json.dumps(line)}\n")

    def finish(self) -> None:
        self.tick()
