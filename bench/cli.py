"""Run a benchmark; it prints medians, spread and ratios."""

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module

from tools.debian import provide
from tools.entry import enter, importing
from tools.venv import provide_venv


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One of them: `main` of a module, which gets the arguments that follow."""

    meaning: str
    module: str
    wrk: bool = False
    """Whether wrk is its load generator."""
    cluster: bool = False
    """Whether it needs a running cluster, and its clients."""


BENCHMARKS = {
    "throughput": Benchmark(
        "durable events/s on SQLite, against FastAPI, Go, Rust and no store",
        "bench.throughput",
        wrk=True,
    ),
    "ring": Benchmark(
        "the same, CPU time and latency on Cassandra, against FastAPI, Express and Go",
        "bench.ring_throughput",
        wrk=True,
    ),
    "access": Benchmark("what keys and TLS cost, on SQLite", "bench.access", wrk=True),
    "count": Benchmark(
        "the cost of GET /events/count, with few and with many events", "bench.count_cost"
    ),
    "ring-count": Benchmark(
        "the same on Cassandra, with few and with many lanes", "bench.ring_count"
    ),
    "cluster": Benchmark(
        "events/s on a running cluster, with and without Fabio, by number of allocations",
        "bench.cluster",
        wrk=True,
        cluster=True,
    ),
    "closed": Benchmark(
        "what a closed cluster costs against an open one, each made from nothing",
        "bench.closed",
        wrk=True,
        cluster=True,
    ),
    "faults": Benchmark(
        "what clients see of a running cluster when a node fails, in each way",
        "bench.faults",
        cluster=True,
    ),
    "signals": Benchmark(
        "what the number of allocations may follow: six signals under four loads",
        "bench.sizing.compare",
        cluster=True,
    ),
    "right-sizing": Benchmark(
        "how well it follows: a step part by part, bursts, noise, and what fails",
        "bench.sizing.goals",
        cluster=True,
    ),
    "parts": Benchmark(
        "memory and CPU of each part of a running cluster, and what is set aside for it",
        "bench.parts.cli",
        cluster=True,
    ),
}


def main() -> int:
    listed = "\n".join(f"  {name:<13} {one.meaning}" for name, one in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"benchmarks:\n{listed}\n\nEach has its own --help.",
    )
    parser.add_argument("benchmark", choices=BENCHMARKS)
    benchmark = BENCHMARKS[parser.parse_args(sys.argv[1:2]).benchmark]
    if benchmark.wrk:
        provide({"wrk": "wrk"})
    if benchmark.cluster:
        provide_venv("cluster")
    enter("bench")
    with importing():
        run = import_module(benchmark.module).main
    return int(run(sys.argv[2:]))
