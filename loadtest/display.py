"""Shows a run on stderr: a few lines, redrawn on a terminal; elsewhere a line every 10 s."""

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import wrap

from loadtest.record import AllocationSample, CountSample, LoadSecond, Samples

REDRAW_SECONDS = 0.5
LINE_SECONDS = 10.0
RECENT_SECONDS = 5
INDENT = " " * 13


@dataclass(slots=True)
class State:
    """What is to be shown."""

    target: str
    elapsed: float
    seconds: float
    samples: Samples
    totals: dict[str, int]
    """Of all generators: sent, acked, refused, unknown."""
    stopping: bool = False
    warnings: Sequence[str] = field(default_factory=list)


class Display:
    """Shows states as they arrive, often; `close` keeps the last one on the terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._drawn = 0
        self._due = 0.0
        self._told: set[str] = set()

    def show(self, state: State) -> None:
        """Show a state, if it is time to. If it can't be shown, the run continues all the same."""
        with suppress(OSError):
            self._show(state)

    def _show(self, state: State) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + (REDRAW_SECONDS if self._terminal else LINE_SECONDS)
        if self._terminal:
            lines = [f"{name:<12} {figures}" for name, figures in rows(state)]
            self._redraw([*lines, *(f"warning: {warning}" for warning in state.warnings)])
            return
        line = " | ".join(f"{name} {figures}" for name, figures in rows(state))
        print(f"    {line}", file=sys.stderr)
        for warning in state.warnings:
            kind = warning.partition(",")[0]
            if kind not in self._told:
                self._told.add(kind)
                print(f"    warning: {warning}", file=sys.stderr)
        sys.stderr.flush()

    def close(self) -> None:
        """What comes next stands below."""
        self._drawn = 0

    def _redraw(self, lines: Sequence[str]) -> None:
        # A line that the terminal broke would be two to go up by.
        width = max(20, shutil.get_terminal_size().columns - 1)
        shown = [part for line in lines for part in wrap(line, width, subsequent_indent=INDENT)]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        text = "".join(f"\x1b[2K{line}\n" for line in shown)
        sys.stderr.write(f"{up}\r{text}\x1b[J")
        sys.stderr.flush()
        self._drawn = len(shown)


def rows(state: State) -> list[tuple[str, str]]:
    """The state: what is shown, and its figures."""
    left = max(0.0, state.seconds - state.elapsed)
    time_left = "waiting for what is in flight" if state.stopping else f"{_clock(left)} left"
    shown = [(state.target, f"{_clock(state.elapsed)} of {_clock(state.seconds)}, {time_left}")]
    shown += [(name, _load(seconds)) for name, seconds in state.samples.load.items()]
    words = ("acked", "refused", "unknown")
    shown.append(("ledger", ", ".join(f"{word} {state.totals[word]:,}" for word in words)))
    if state.samples.count:
        shown.append(("count", _count(state.samples.count[-1])))
    if state.samples.allocations:
        shown.append(("allocations", _allocations(state.samples.allocations[-1])))
    return shown


def _load(seconds: Sequence[LoadSecond]) -> str:
    recent = seconds[-RECENT_SECONDS:]
    length = sum(second.seconds for second in recent)
    if not length:
        return "starting"
    acked = sum(second.acked for second in recent) / length
    last = recent[-1]
    burst = "" if last.burst is None else f"burst {last.burst}, "
    known = [second.latency_ms for second in recent if second.latency_ms.p50 is not None]
    latency = "no latency yet"
    if known:
        latency = f"p50 {known[-1].p50:,.1f} ms, p99 {known[-1].p99:,.1f} ms"
    return f"{burst}{acked:,.0f} events/s acked, {latency}, {last.in_flight:,} in flight"


def _count(sample: CountSample) -> str:
    return f"no answer: {sample.error}" if sample.count is None else f"{sample.count:,}"


def _allocations(sample: AllocationSample) -> str:
    if sample.error:
        return sample.error
    nodes = ", ".join(f"{node} {count}" for node, count in sample.by_node.items())
    return f"{sample.passing} of {sample.wanted} take events: {nodes}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
