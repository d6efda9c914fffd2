"""Whether machines were too slow for what was asked of them, or the product failed.

What the product promises holds on any machine: nothing acknowledged is lost, every count is exact,
no request runs into a close. That no event is refused, or left unknown, holds where machines keep
up.
"""

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

SLOW_ANSWER_SECONDS = 1.0
"""A receiver that has time to spare says in less than this that it is alive."""
BUSY = 0.97
"""This share of the host's processors, and no machine on it gets what it asks for."""
NEVER = ("reused connection closed",)
"""What TGIBF must not meet on any machine, in the words of its errors."""
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Speed:
    """What was measured during a load."""

    answer_seconds: float
    """Median of the time that `GET /health` took; without any answer, infinite."""
    busy: float
    """Share of the host's processor time that somebody used, 0 to 1."""

    @property
    def too_slow(self) -> bool:
        """Whether the machines could not keep up, whatever runs on them."""
        return self.answer_seconds > SLOW_ANSWER_SECONDS or self.busy > BUSY

    def __str__(self) -> str:
        return f"/health took {self.answer_seconds:.2f} s, the host was {self.busy:.0%} busy"


def judge(unsure: int, errors: Mapping[str, int], speed: Speed) -> str:
    """`well`, `too slow` or `broken`, of a load whose promises were kept otherwise.

    `unsure` are the events that were refused or have an unknown outcome, `errors` the reasons.
    """
    if any(errors.get(reason) for reason in NEVER):
        return "broken"
    if not unsure:
        return "well"
    return "too slow" if speed.too_slow else "broken"


@dataclass
class Watch:
    """Measures the speed from `with` until its end; `look` asks a receiver whether it is alive."""

    look: Callable[[], object]
    _answers: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._before = processor_times(Path("/proc/stat").read_text())
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._after = processor_times(Path("/proc/stat").read_text())
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            began = time.monotonic()
            try:
                self.look()
            except (OSError, AssertionError):
                self._answers.append(float("inf"))
            else:
                self._answers.append(time.monotonic() - began)

    @property
    def speed(self) -> Speed:
        """After the `with`."""
        answer = statistics.median(self._answers) if self._answers else float("inf")
        return Speed(answer, busy_share(self._before, self._after))


def processor_times(stat: str) -> Sequence[int]:
    """The first line of /proc/stat: user, nice, system, idle, iowait, ... in ticks."""
    return [int(word) for word in stat.splitlines()[0].split()[1:9]]


def busy_share(before: Sequence[int], after: Sequence[int]) -> float:
    """The share of the time between two readings that was neither idle nor waiting for a disk."""
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return 1 - (spent[3] + spent[4]) / sum(spent) if sum(spent) else 0.0
