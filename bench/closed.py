"""What a closed cluster costs against an open one: events/s, CPU time, memory, and time to start.

In a round one of each is made from nothing, without autoscaling, pressed through the door of one
node, and ended. It needs a machine without a cluster. A round takes some 7 minutes.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import wrk
from bench.cluster import FIRST_SECONDS, LOADS
from bench.figures import Figures, conditions, ratio, table
from bench.processes import cpu_seconds, memory_mib
from bench.wrk import Measured
from harness.cluster import COMMAND, DOORS, Cluster
from tools.say import fail, say

KINDS = ("open", "closed")
URL = f"{DOORS[0]}/events"


@dataclass(frozen=True, slots=True)
class Round:
    """One cluster."""

    up_seconds: float
    memory_mib: Mapping[str, float]
    """By part, after the loads."""
    measured: Mapping[str, Measured]
    """By load."""
    cpu_us: Mapping[str, float]
    """Microseconds an event of all parts together, by load."""


def measure(kind: str, seconds: int) -> Round:
    """Make one, press it, and end it. Raises CalledProcessError."""
    began = time.monotonic()
    try:
        _cluster("up", f"--{kind}", "--no-autoscaling")
        up_seconds = time.monotonic() - began
        wrk.run(URL, LOADS[0], FIRST_SECONDS)
        measured, cpu = {}, {}
        for load in LOADS:
            before = sum(cpu_seconds().values())
            run = wrk.run(URL, load, seconds)
            used = sum(cpu_seconds().values()) - before
            cpu[load.name] = used / (run.per_second * seconds) * 1e6
            measured[load.name] = run
        return Round(up_seconds, memory_mib(), measured, cpu)
    finally:
        _cluster("down")


def _cluster(*arguments: str) -> None:
    """Run scripts/cluster, which says what it is doing. Raises CalledProcessError."""
    subprocess.run([str(COMMAND), *arguments], stdout=subprocess.DEVNULL, check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench closed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--seconds", type=int, default=10, help="of each load (default 10)")
    options = parser.parse_args(arguments)
    if not wrk.available():
        fail("wrk is not installed; on Debian: apt-get install wrk")
    if Cluster().runs:
        fail("a cluster runs, and this would end it with its data: first scripts/cluster down")
    rounds: dict[str, list[Round]] = {kind: [] for kind in KINDS}
    for number in range(1, options.rounds + 1):
        for kind in KINDS if number % 2 else KINDS[::-1]:
            say(f"round {number}/{options.rounds}, {kind}")
            try:
                one = measure(kind, options.seconds)
            except subprocess.CalledProcessError as error:  # it has said why
                fail(f"{' '.join(map(str, error.cmd))} did not succeed; its message is above")
            rounds[kind].append(one)
            say(f"round {number}/{options.rounds}, {kind}: up in {one.up_seconds:.0f} s")
            for load, run in one.measured.items():
                say(f"  {load}: {run.per_second:,.0f} events/s, {run.errors:,} errors")
    print(f"Median (smallest-largest) of {options.rounds} rounds; {conditions()}\n")
    print(table(["what", *KINDS, "closed / open"], rows(rounds)))
    return 0


Rounds = Mapping[str, Sequence[Round]]
"""By kind of cluster."""


def rows(rounds: Rounds) -> list[list[str]]:
    """A line for each thing that was measured."""
    lines = [line for load in LOADS for line in _of_load(rounds, load.name)]
    lines.append(_row("seconds until it is up", rounds, lambda one: one.up_seconds))
    parts = [part for part, mib in rounds["open"][0].memory_mib.items() if mib]
    return lines + [_of_memory(rounds, part) for part in parts]


def _of_load(rounds: Rounds, load: str) -> list[list[str]]:
    errors = [f"{sum(one.measured[load].errors for one in rounds[kind]):,}" for kind in KINDS]
    return [
        _row(f"events/s, {load}", rounds, lambda one: one.measured[load].per_second),
        _row(f"p99 ms, {load}", rounds, lambda one: one.measured[load].p99_ms, 1),
        _row(f"us CPU/event, {load}", rounds, lambda one: one.cpu_us[load]),
        [f"errors, {load}", *errors, ""],
    ]


def _of_memory(rounds: Rounds, part: str) -> list[str]:
    return _row(f"MiB, {part}", rounds, lambda one: one.memory_mib[part])


def _row(what: str, rounds: Rounds, value: Callable[[Round], float], digits: int = 0) -> list[str]:
    values = {kind: [value(one) for one in rounds[kind]] for kind in KINDS}
    shown = [Figures(values[kind]).show(digits) for kind in KINDS]
    return [what, *shown, ratio(values["closed"], values["open"])]


if __name__ == "__main__":
    sys.exit(main())
