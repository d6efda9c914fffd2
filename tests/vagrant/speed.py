"""Whether machines were too slow for what was asked of them, or the product failed.

What the product promises holds on any machine: nothing acknowledged is lost, every count is exact,
no request runs into a close. That every event is acknowledged, and that all is there in time, holds
where machines have time to spare.
"""

import os
import re
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import pytest

LOOK_SECONDS = 5.0
SATURATED = 0.9
"""A processor that had work for this share of a look had no time to spare in it."""
TOO_OFTEN = 0.25
"""Share of the time in which a processor may have none to spare, and the machine keep up."""
EXPLAINED = frozenset({"http 503", "timeout", "connect: timeout", "closed without answer", "reset"})
"""What slowness explains, in the words of TGIBF's errors: that somebody has given up waiting.

The last two are Fabio's, of a new connection that no receiver took in time. Of one in use they are
`reused connection closed`, which is a fault on any machine.
"""
HOST = "the host"
TICKS = os.sysconf("SC_CLK_TCK")

Verdict = Literal["well", "too slow", "broken"]


class Look(NamedTuple):
    """The processors at a moment: for how many seconds each one has had work so far."""

    at: float
    busy: Mapping[str, float]


@dataclass(frozen=True)
class Speed:
    """What was measured in a time."""

    seconds: float
    saturated: Mapping[str, float]
    """Share of that time in which a processor had none to spare, for each that ever had none."""
    answer_seconds: float
    """Median of what `GET /health` took; infinite if it was not answered."""

    @property
    def too_slow(self) -> bool:
        """Whether machines could not keep up, whatever runs on them."""
        return any(share >= TOO_OFTEN for share in self.saturated.values())

    def __str__(self) -> str:
        shares = [f"{name} {share:.0%}" for name, share in sorted(self.saturated.items())]
        took = (
            f"took {self.answer_seconds:.2f} s" if self.answer_seconds < inf else "did not answer"
        )
        return (
            f"share of {self.seconds:.0f} s without time to spare: {', '.join(shares) or 'none'}; "
            f"/health {took}"
        )


def judge(missed: int, errors: Mapping[str, int], speed: Speed) -> Verdict:
    """The verdict on a load whose promises were kept otherwise.

    `missed` are the events that were not acknowledged, `errors` the reasons.
    """
    if unexplained(errors):
        return "broken"
    if not missed:
        return "well"
    return "too slow" if speed.too_slow else "broken"


def unexplained(errors: Mapping[str, int]) -> dict[str, int]:
    """The errors that no slowness explains."""
    return {kind: number for kind, number in errors.items() if kind not in EXPLAINED}


def keep_up(what: str, sent: int, acked: int, errors: Mapping[str, int], speed: Speed) -> None:
    """Fail for a load that failed, but skip one that was too much for these machines."""
    verdict = judge(sent - acked, errors, speed)
    words = (
        f"{what}: {sent - acked:,} of {sent:,} events not acknowledged ({dict(errors)}), "
        f"nothing lost; {speed}"
    )
    assert verdict != "broken", words
    if verdict == "too slow":
        pytest.skip(f"too slow: {words}")


class Watch:
    """Measures the speed from `with` until its end.

    What was waited for in vain meanwhile fails, but is skipped where machines were too slow.
    """

    def __init__(self, read: Callable[[], Mapping[str, float]], ask: Callable[[], object]) -> None:
        """`read` gives a Look's seconds, `ask` asks a receiver whether it is alive."""
        self._read = read
        self._ask = ask
        self._looks: list[Look] = []
        self._answers: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
            if self.speed.too_slow:
                pytest.skip(f"too slow: {error}; {self.speed}")
            error.add_note(str(self.speed))

    @property
    def speed(self) -> Speed:
        """After the `with`."""
        answer = statistics.median(self._answers) if self._answers else inf
        return Speed(self._looks[-1].at - self._looks[0].at, saturated(self._looks), answer)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()
            began = time.monotonic()
            try:
                self._ask()
            except (OSError, HTTPException):
                self._answers.append(inf)
            else:
                self._answers.append(time.monotonic() - began)

    def _look(self) -> None:
        self._looks.append(Look(time.monotonic(), self._read()))


def saturated(looks: Sequence[Look]) -> dict[str, float]:
    """In which share of the time each processor had none to spare, of those that ever had none."""
    found: defaultdict[str, float] = defaultdict(float)
    for early, late in pairwise(looks):
        seconds = late.at - early.at
        for name, busy in late.busy.items():
            if busy - early.busy.get(name, inf) >= SATURATED * seconds:  # not if it came meanwhile
                found[name] += seconds
    return {name: seconds / (looks[-1].at - looks[0].at) for name, seconds in found.items()}


def machines_busy(stats: str) -> dict[str, float]:
    """The seconds that each machine's one processor has run, or waited for one of the host's.

    `stats` is what `virsh domstats --vcpu` prints.
    """
    found = {}
    for name, text in re.findall(r"^Domain: 'teracompra-(.+)'\n((?:  .*\n)*)", stats, re.MULTILINE):
        if spent := re.findall(r"vcpu\.0\.(?:time|delay)=(\d+)", text):
            found[name] = sum(map(int, spent)) / 1e9
    return found


def host_busy(stat: str) -> float:
    """The seconds that the host's processors have had work, on average, by its /proc/stat."""
    processors = len(re.findall(r"^cpu\d", stat, re.MULTILINE))
    user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, stat.split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / TICKS / processors


def processors(stats: str) -> dict[str, float]:
    """The seconds of all, of which `virsh domstats --vcpu` tells those of the machines."""
    return {**machines_busy(stats), HOST: host_busy(Path("/proc/stat").read_text())}
