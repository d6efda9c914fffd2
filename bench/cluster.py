"""Events/s on the three-node cluster: through Fabio and without it, for 1, 2 and 4 allocations.

It needs a running cluster (`scripts/cluster up`) and scales its webhook. In a round each way runs
once for each number of allocations:

  direct     wrk connects to the allocations themselves, with an equal share of connections each
  TCP        through one Fabio that passes bytes on, as configured in nomad/fabio.nomad
  HTTP       through one Fabio that parses requests

Both Fabios are processes of this benchmark. They run the cluster's program, with given routes. CPU
time is counted by part, over all nodes.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.request import urlopen

from bench import wrk
from bench.figures import Figures, conditions, ratio, table
from bench.processes import KINDS, WEBHOOK, cpu_seconds, processes
from bench.wrk import Load, Measured
from cluster.findings import sized_by_itself
from cluster.nodes.namespaces import KIT
from harness.cluster import Cluster
from harness.waiting import wait_for
from tools.say import fail, say

LOADS = (Load("256 kept-alive", 256), Load("one per event", 64, keep_alive=False))
COUNTS = (1, 2, 4)
WAYS = ("direct", "TCP", "HTTP")
PORTS = {"TCP": 9801, "HTTP": 9802}
WARM_SECONDS = 2
FIRST_SECONDS = 20  # until Cassandra's JVMs have compiled what they run most
SCALE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run."""

    per_second: float
    p99_ms: float
    errors: int
    cpu: Mapping[str, float]
    """Microseconds an event, by part."""


@contextmanager
def fabio(way: str, addresses: Sequence[str]) -> Iterator[str]:
    """A Fabio in front of the allocations; its URL."""
    port = PORTS[way]
    listen, source = (
        (f"127.0.0.1:{port};proto=tcp", f":{port} tcp://{{}}")
        if way == "TCP"
        else (f"127.0.0.1:{port}", "/ http://{}/")
    )
    routes = "\n".join(f"route add webhook {source.format(address)}" for address in addresses)
    command = [
        str(KIT / "bin" / "fabio"),
        f"-proxy.addr={listen}",
        "-ui.addr=127.0.0.1:9803",
        "-registry.backend=static",
        f"-registry.static.routes={routes}",
        "-log.level=WARN",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: serves(PORTS[way]), f"Fabio ({way})")
            yield url(way)
        finally:
            process.terminate()


def serves(port: int) -> bool:
    """Whether a receiver behind that port of Fabio is ready."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def url(way: str) -> str:
    """Where that Fabio takes events."""
    return f"http://127.0.0.1:{PORTS[way]}/events"


def press(urls: Sequence[str], load: Load, seconds: int) -> Measured:
    """Load on all `urls` at once, an equal share of the connections each."""
    share = Load(load.name, load.connections // len(urls), load.keep_alive)
    with ThreadPoolExecutor(len(urls)) as pool:
        runs = list(pool.map(lambda one: wrk.run(one, share, seconds), urls))
    return Measured(
        sum(run.per_second for run in runs),
        max(run.p99_ms for run in runs),
        sum(run.errors for run in runs),
    )


def measure_once(urls: Sequence[str], load: Load, seconds: int) -> Run:
    """One run, warmed up."""
    press(urls, load, WARM_SECONDS)
    before = cpu_seconds()
    measured = press(urls, load, seconds)
    after = cpu_seconds()
    events = measured.per_second * seconds
    cpu = {part: (after[part] - before[part]) / events * 1e6 for part in after}
    return Run(measured.per_second, measured.p99_ms, measured.errors, cpu)


def scale(cluster: Cluster, count: int) -> list[str]:
    """Have so many allocations; their addresses once all are passing, and the others have ended."""
    cluster.scale(count)
    wait_for(
        lambda: [part for _, part in processes()].count(WEBHOOK) == count,
        "the end of the other allocations",
        SCALE_SECONDS,
        0.5,
    )
    return addresses(cluster)


def addresses(cluster: Cluster) -> list[str]:
    """Those of the allocations that take events."""
    return sorted(one.address for one in cluster.passing())


@dataclass
class Results:
    """What was measured, by load, number of allocations and way."""

    runs: dict[tuple[str, int, str], list[Run]] = field(default_factory=dict)

    def per_second(self, load: Load, count: int, way: str) -> list[float]:
        return [run.per_second for run in self.runs[load.name, count, way]]

    def throughput(self, load: Load) -> str:
        """Events/s, and what part of direct each way has."""
        rows = []
        for count in COUNTS:
            direct = self.per_second(load, count, "direct")
            row = [str(count)]
            row += [Figures(self.per_second(load, count, way)).show() for way in WAYS]
            row += [ratio(self.per_second(load, count, way), direct) for way in WAYS[1:]]
            row.append(ratio(self.per_second(load, count, "TCP"), self.per_second(load, 1, "TCP")))
            errors = sum(run.errors for way in WAYS for run in self.runs[load.name, count, way])
            rows.append([*row, f"{errors:,}"])
        header = ["allocations", *WAYS, "TCP / direct", "HTTP / direct", "TCP / 1 allocation"]
        return table([*header, "errors"], rows)

    def cpu(self, load: Load) -> str:
        """Microseconds of CPU per event, by part."""
        parts = [*KINDS.values()]
        rows = []
        for count in COUNTS:
            for way in WAYS:
                runs = self.runs[load.name, count, way]
                cells = [Figures([run.cpu[part] for run in runs]).show() for part in parts]
                rows.append([str(count), way, *cells])
        return table(["allocations", "way", *parts], rows)


def measure(cluster: Cluster, rounds: int, seconds: int) -> Results:
    """All rounds, the numbers of allocations in turn, the ways in turn for each."""
    results = Results()
    say(f"warming up for {FIRST_SECONDS} s")
    press([f"http://{one}/events" for one in addresses(cluster)], LOADS[0], FIRST_SECONDS)
    for round_ in range(1, rounds + 1):
        for count in COUNTS:
            found = scale(cluster, count)
            for load in LOADS:
                for way in WAYS:
                    with ExitStack() as stack:
                        urls = (
                            [f"http://{one}/events" for one in found]
                            if way == "direct"
                            else [stack.enter_context(fabio(way, found))]
                        )
                        run = measure_once(urls, load, seconds)
                    results.runs.setdefault((load.name, count, way), []).append(run)
                    say(
                        f"round {round_}/{rounds}, {count} allocations, {load.name}, {way}: "
                        f"{run.per_second:,.0f} events/s, p99 {run.p99_ms:.0f} ms, "
                        f"{run.errors:,} errors"
                    )
                    time.sleep(1)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    options = parser.parse_args(arguments)
    if not wrk.available():
        fail("wrk is not installed; on Debian: apt-get install wrk")
    cluster = Cluster()
    before = addresses(cluster)
    if not before:
        fail("no cluster runs, or its webhook is not well: scripts/cluster up")
    if sized_by_itself():
        fail("the autoscaler would change the count meanwhile: scripts/cluster up --no-autoscaling")
    results = measure(cluster, options.rounds, options.seconds)
    scale(cluster, len(before))
    print(
        f"Three nodes on one machine; median (smallest-largest) of {options.rounds} rounds of "
        f"{options.seconds} s; {conditions()}"
    )
    for load in LOADS:
        print(f"\nEvents/s, {load.name}\n\n{results.throughput(load)}")
        print(f"\nCPU time in us per event, {load.name}\n\n{results.cpu(load)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
