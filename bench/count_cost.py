"""The cost of GET /events/count with few and with many events in the window."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles

from bench.figures import Figures, conditions, ratio, table
from harness.receiver import ReceiverProcess

BATCH = 1000


def fill(receiver: ReceiverProcess, events: int) -> None:
    """Post `events` events through the front door."""
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    body = json.dumps([{"type": "call.new", "call_id": "1463669263.30033"}] * BATCH)
    for _ in range(events // BATCH):
        connection.request("POST", "/events", body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"POST /events: {answer.status}")
    connection.close()


def time_gets(receiver: ReceiverProcess, gets: int) -> list[float]:
    """Milliseconds of each of `gets` GETs on one connection."""
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    times = []
    for _ in range(gets):
        began = time.perf_counter()
        connection.request("GET", "/events/count")
        connection.getresponse().read()
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return times


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench count", description=__doc__)
    parser.add_argument("--few", type=int, default=10_000, help="events (default 10,000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="events (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=7, help="of each, in turns (default 7)")
    parser.add_argument("--gets", type=int, default=500, help="of each round (default 500)")
    options = parser.parse_args(arguments)
    p50: dict[int, list[float]] = {options.few: [], options.many: []}
    p99: dict[int, list[float]] = {options.few: [], options.many: []}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        age = {"connection_age_seconds": 3600}
        few = ReceiverProcess({"store": f"sqlite:///{directory}/few.db", **age})
        many = ReceiverProcess({"store": f"sqlite:///{directory}/many.db", **age})
        with few, many:
            for receiver, events in ((few, options.few), (many, options.many)):
                print(f"posting {events:,} events", file=sys.stderr)
                fill(receiver, events)
            for _ in range(options.rounds):
                for receiver, events in ((few, options.few), (many, options.many)):
                    cuts = quantiles(time_gets(receiver, options.gets), n=100)
                    p50[events].append(cuts[49])
                    p99[events].append(cuts[98])
    print(f"GET /events/count, median (range) of {options.rounds} rounds; {conditions()}\n")
    rows = [[f"{n:,}", Figures(p50[n]).show(2), Figures(p99[n]).show(2)] for n in p50]
    print(table(["events in the window", "p50 ms", "p99 ms"], rows))
    print(f"\np50, many / few: {ratio(p50[options.many], p50[options.few])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
