"""The cost of GET /events/count on a real Cassandra: few and many events, few and many lanes."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from urllib.request import urlopen

from bench.count_cost import time_gets
from bench.figures import Figures, conditions, table
from cluster.linux.namespace import missing
from harness.receiver import ReceiverProcess
from harness.ring import Ring
from harness.stores import new_store
from harness.waiting import wait_for
from tools.say import fail

BATCH = 1000
POSTERS = 32  # connections that post at once, so that every lane has something to write
TOGETHER = 16  # connections that ask at once


def post(port: int, batches: int) -> None:
    """Post `batches` arrays on one connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps([{"type": "call.new", "call_id": "1463669263.30033"}] * BATCH)
    done = 0
    while done < batches:
        connection.request("POST", "/events", body)
        answer = connection.getresponse()
        reason = answer.read()
        if answer.status == HTTPStatus.OK:
            done += 1
        elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:  # the ring can't keep up
            time.sleep(float(answer.headers["Retry-After"]))
        else:
            raise RuntimeError(f"POST /events: {answer.status} {reason.decode()}")
    connection.close()


def fill(receiver: ReceiverProcess, events: int) -> None:
    """Post about `events` events over many connections."""
    batches = max(1, events // BATCH // POSTERS)
    with ThreadPoolExecutor(POSTERS) as posters:
        for done in [posters.submit(post, receiver.port, batches) for _ in range(POSTERS)]:
            done.result()


def metric(receiver: ReceiverProcess, name: str) -> float:
    """A sample of /metrics."""
    with urlopen(f"{receiver.url}/metrics", timeout=30) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def measure(
    receiver: ReceiverProcess, rounds: int, gets: int
) -> tuple[list[float], list[float], float]:
    """p50 and p99 in ms of each round, and statements to the ring for each GET."""
    p50, p99 = [], []
    before = metric(receiver, "webhook_store_reads_total")
    for _ in range(rounds):
        cuts = quantiles(time_gets(receiver, gets), n=100)
        p50.append(cuts[49])
        p99.append(cuts[98])
    reads = metric(receiver, "webhook_store_reads_total") - before
    return p50, p99, reads / rounds / gets


def reads_at_once(receiver: ReceiverProcess, gets: int) -> float:
    """Statements to the ring for each GET where `TOGETHER` connections ask at once."""
    before = metric(receiver, "webhook_store_reads_total")
    with ThreadPoolExecutor(TOGETHER) as askers:
        for done in [askers.submit(time_gets, receiver, gets) for _ in range(TOGETHER)]:
            done.result()
    return (metric(receiver, "webhook_store_reads_total") - before) / gets / TOGETHER


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench ring-count", description=__doc__)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--events", type=int, nargs="+", default=[10_000, 1_000_000, 5_000_000])
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--gets", type=int, default=300, help="of each round (default 300)")
    options = parser.parse_args(arguments)
    if reason := missing():
        fail(f"no ring of real nodes here: {reason}")
    rows = []
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory,
        Ring(Path(directory)) as ring,
    ):
        for lanes in options.lanes:
            url = new_store(ring, f"?lanes={lanes}")
            with ReceiverProcess({"store": url, "connection_age_seconds": 3600}) as receiver:
                wait_for(receiver.ready, "ready", 30)
                posted = 0
                for events in options.events:
                    print(f"{lanes} lanes: posting up to {events:,} events", file=sys.stderr)
                    fill(receiver, events - posted)
                    posted = events
                    p50, p99, reads = measure(receiver, options.rounds, options.gets)
                    cells = [str(lanes), f"{events:,}", Figures(p50).show(2), Figures(p99).show(2)]
                    together = reads_at_once(receiver, options.gets // 3)
                    rows.append([*cells, f"{reads:.1f}", f"{together:.1f}"])
                    print(", ".join(rows[-1]), file=sys.stderr)
    print(f"GET /events/count, median (range) of {options.rounds} rounds; {conditions()}\n")
    header = ["lanes", "events in the window", "p50 ms", "p99 ms", "reads per GET"]
    print(table([*header, f"reads per GET, {TOGETHER} at once"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
