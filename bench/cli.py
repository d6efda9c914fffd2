"""Run a benchmark; it prints medians, spread and ratios."""

import argparse
import sys

from tools.debian import provide
from tools.entry import enter, importing
from tools.venv import provide_venv

BENCHMARKS = {
    "throughput": "durable events/s on SQLite, against FastAPI, Go, Rust and no store",
    "ring": "the same, CPU time and latency on Cassandra, against FastAPI, Express and Go",
    "access": "what keys and TLS cost, on SQLite",
    "count": "the cost of GET /events/count, with few and with many events",
    "ring-count": "the same on Cassandra, with few and with many lanes",
    "cluster": "events/s on a running cluster, with and without Fabio, by number of allocations",
    "closed": "what a closed cluster costs against an open one, each made from nothing",
    "faults": "what clients see of a running cluster when a node fails, in each way",
}


def main() -> int:
    listed = "\n".join(f"  {name:<11} {meaning}" for name, meaning in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"benchmarks:\n{listed}\n\nEach has its own --help.",
    )
    parser.add_argument("benchmark", choices=BENCHMARKS)
    arguments, rest = parser.parse_known_args(sys.argv[1:2])
    rest = sys.argv[2:]
    provide({"wrk": "wrk"})
    if arguments.benchmark in {"cluster", "closed", "faults"}:
        provide_venv("cluster")
    enter("bench")
    with importing():
        if arguments.benchmark == "throughput":
            from bench.throughput import main as run
        elif arguments.benchmark == "access":
            from bench.access import main as run
        elif arguments.benchmark == "ring":
            from bench.ring_throughput import main as run
        elif arguments.benchmark == "cluster":
            from bench.cluster import main as run
        elif arguments.benchmark == "closed":
            from bench.closed import main as run
        elif arguments.benchmark == "faults":
            from bench.faults import main as run
        elif arguments.benchmark == "ring-count":
            from bench.ring_count import main as run
        else:
            from bench.count_cost import main as run
    return run(rest)
