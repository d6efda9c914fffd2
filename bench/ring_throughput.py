"""Durable events/s, CPU time and latency on Cassandra: the receiver, FastAPI, Express, Go.

Go twice: with an INSERT for each event, and with a group commit into tables such as ours.

All write to the same ring of real nodes on this machine, in turns. In a round each of them runs
once under each kind of load, in a new process that is warmed up first, on emptied tables. A run
counts only if its events are found in the tables afterwards.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench import wrk
from bench.cpu import cpu_seconds
from bench.figures import Figures, conditions, ratio, table
from bench.results import Results
from bench.subjects import ON_A_RING, OURS, Subject, add_choice, available, chosen
from bench.wrk import Load
from cluster.linux.namespace import missing
from harness.receiver import ReceiverProcess
from harness.ring import Ring, RingError
from harness.waiting import wait_for
from tools.say import fail, say
from webhook.store.audit import stored

LOADS = (Load("64 kept-alive", 64), Load("500 kept-alive", 500))
RATE = 1000
STEADY = f"{RATE:,}/s"  # the other kind of load: an open loop at this rate
READY_SECONDS = 30.0
WARM_SECONDS = 1
SETTLE_SECONDS = 0.5  # for writes whose client has gone
RING_WAIT_SECONDS = 600.0  # another ring on this machine may be in use

OUR_KEYSPACE = "bench"
PEERS_KEYSPACE = "bench_peers"
GROUPS_KEYSPACE = "bench_groups"
_WITH_GROUPS = (OUR_KEYSPACE, GROUPS_KEYSPACE)
# In buckets: at thousands of events/s one partition per minute would be hot, and too large.
PEERS_TABLE = """
CREATE TABLE events (
  minute int, bucket int, id timeuuid, received_at timestamp, type text, call_id text, body text,
  PRIMARY KEY ((minute, bucket), id)
) WITH default_time_to_live = 604800
  AND compaction = {'class': 'TimeWindowCompactionStrategy',
                    'compaction_window_unit': 'HOURS', 'compaction_window_size': 6}"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one subject came to."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    receiver_us: float
    """CPU time of its process per stored event, in microseconds."""
    ring_us: float
    """CPU time of Cassandra per stored event, in microseconds."""

    @property
    def total_us(self) -> float:
        return self.receiver_us + self.ring_us


@dataclass(frozen=True, slots=True)
class Driven:
    """What the load generator saw."""

    per_second: float
    answered: int
    errors: int
    p50_ms: float
    p99_ms: float


class Course:
    """A ring with the tables of all subjects."""

    def __init__(self, ring: Ring, session: Any) -> None:
        self._ring = ring
        self._session = session
        self._hosts = ",".join(ring.hosts)

    def lay_out(self) -> None:
        """Make the tables."""
        for keyspace in (OUR_KEYSPACE, GROUPS_KEYSPACE):
            self._ring.apply_schema(keyspace)
        replication = {"class": "NetworkTopologyStrategy", "datacenter1": len(self._ring.nodes)}
        self._session.execute(f"CREATE KEYSPACE {PEERS_KEYSPACE} WITH replication = {replication}")
        self._session.set_keyspace(PEERS_KEYSPACE)
        self._session.execute(PEERS_TABLE)

    def run(self, subject: Subject, load: Load | None, seconds: int) -> Run:
        """One run, with no load for the steady one; ends the benchmark if events are missing."""
        keyspace = _keyspace(subject)
        store = f"cassandra://{self._hosts}/{keyspace}"
        with ReceiverProcess(
            {"store": store}, module=subject.module, checkout=subject.checkout
        ) as receiver:
            url = f"{receiver.url}/events"
            wait_for(lambda: takes_events(url), f"{subject.name} takes events", READY_SECONDS)
            wrk.run(url, load or LOADS[0], WARM_SECONDS)
            time.sleep(SETTLE_SECONDS)
            self._empty()
            used, ring_used = cpu_seconds(receiver.pid), self._cpu_seconds()
            driven = steady(url, seconds) if load is None else pressed(url, load, seconds)
            used = cpu_seconds(receiver.pid) - used
            ring_used = self._cpu_seconds() - ring_used
        found = len(stored(store)) if subject.groups else self._count()
        if found < driven.answered or not found:
            fail(
                f"{subject.name}: {driven.answered:,} events answered, {found:,} stored\n"
                f"{receiver.log[-2000:]}"
            )
        return Run(
            driven.per_second,
            driven.p50_ms,
            driven.p99_ms,
            driven.errors,
            used / found * 1e6,
            ring_used / found * 1e6,
        )

    def _empty(self) -> None:
        ours = [f"{one}.{name}" for one in _WITH_GROUPS for name in ("events", "lanes")]
        for name in (*ours, f"{PEERS_KEYSPACE}.events"):
            self._session.execute(f"TRUNCATE {name}", timeout=60)

    def _count(self) -> int:
        """The rows of the peers' table, partition by partition."""
        keys = self._session.execute("SELECT DISTINCT minute, bucket FROM events", timeout=60)
        count = "SELECT count(*) FROM events WHERE minute = %s AND bucket = %s"
        counts = [self._session.execute(count, list(key), timeout=60) for key in keys]
        return sum(rows.one().count for rows in counts)

    def _cpu_seconds(self) -> float:
        return sum(cpu_seconds(self._ring.pid(number)) for number in self._ring.nodes)


def _keyspace(subject: Subject) -> str:
    if subject is OURS:
        return OUR_KEYSPACE
    return GROUPS_KEYSPACE if subject.groups else PEERS_KEYSPACE


def takes_events(url: str) -> bool:
    """Whether an event is answered 200: some listen before they are connected to the ring."""
    request = Request(url, b'{"type": "call.new"}', {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request, timeout=READY_SECONDS) as answer:  # noqa: S310
            return bool(answer.status == HTTPStatus.OK)
    except URLError:
        return False


def pressed(url: str, load: Load, seconds: int) -> Driven:
    """As much as it takes: each connection sends its next event when the last was answered."""
    measured = wrk.run(url, load, seconds)
    # wrk runs a little longer than asked, so at least this many were answered.
    answered = int(measured.per_second * seconds)
    nan = float("nan")
    return Driven(measured.per_second, answered, measured.errors, nan, measured.p99_ms)


def steady(url: str, seconds: int) -> Driven:
    """At a fixed rate whatever the answers; latency counts from when an event was due."""
    command = [sys.executable, "-m", "tgibf", url, f"--rate={RATE}", f"--seconds={seconds}"]
    command += ["--keep-alive", "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    summary = json.loads(done.stdout)
    latency = summary["latency_ms"]
    return Driven(
        summary["acked"] / summary["seconds"],
        summary["acked"],
        summary["refused"] + summary["unknown"],
        latency["p50"],
        latency["p99"],
    )


def cpu_table(results: Results[Run]) -> str:
    """A table of microseconds per event, of the subject and of Cassandra."""
    header = ["load", "", "itself", "Cassandra", "together", "receiver / it"]
    rows = []
    for load in (*(load.name for load in LOADS), STEADY):
        ours = [run.total_us for run in results.runs(OURS, load)]
        for subject in results.subjects:
            runs = results.runs(subject, load)
            cells = [
                Figures([run.receiver_us for run in runs]).show(),
                Figures([run.ring_us for run in runs]).show(),
                Figures([run.total_us for run in runs]).show(),
                ratio(ours, [run.total_us for run in runs]),
            ]
            rows.append([load, subject.name, *cells])
    return table(header, rows)


def latency_table(results: Results[Run]) -> str:
    """A table of what clients wait for at the fixed rate."""
    rows = []
    for subject in results.subjects:
        runs = results.runs(subject, STEADY)
        cells = [
            Figures([run.p50_ms for run in runs]).show(1),
            Figures([run.p99_ms for run in runs]).show(1),
            Figures([run.per_second for run in runs]).show(),
            f"{sum(run.errors for run in runs):,}",
        ]
        rows.append([subject.name, *cells])
    return table(["", "p50 ms", "p99 ms", "answered/s", "errors"], rows)


def measure(ring: Ring, subjects: Sequence[Subject], rounds: int, seconds: int) -> Results[Run]:
    """All rounds, and one before them that is not kept: Cassandra's JVM is slow at first."""
    results: Results[Run] = Results(subjects)
    with ring.session() as session:
        course = Course(ring, session)
        course.lay_out()
        for round_ in range(rounds + 1):
            for load in (*LOADS, None):
                name = STEADY if load is None else load.name
                for subject in subjects:
                    run = course.run(subject, load, seconds)
                    place = f"round {round_}/{rounds}" if round_ else "warm-up"
                    say(f"{place}, {name}, {subject.name}: {describe(run)}")
                    if round_:
                        results.add(subject, name, run)
    return results


def describe(run: Run) -> str:
    """A run in a line."""
    return (
        f"{run.per_second:,.0f} events/s, p99 {run.p99_ms:,.1f} ms, "
        f"CPU {run.receiver_us:,.0f} + {run.ring_us:,.0f} us per event, {run.errors:,} errors"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench ring", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="(default 1)")
    add_choice(parser, ON_A_RING)
    options = parser.parse_args(arguments)
    wanted = chosen(parser, options, ON_A_RING)
    if not wrk.available():
        fail("wrk is not installed; on Debian: apt-get install wrk")
    if reason := missing():
        fail(f"no ring of real nodes here: {reason}")
    subjects, notes = available(wanted)
    for note in notes:
        say(note)
    # Emptying a table must not leave its events on the disk as a snapshot.
    settings = {"auto_snapshot": "false"}
    try:
        with (
            tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory,
            Ring(
                Path(directory), options.nodes, settings=settings, wait_seconds=RING_WAIT_SECONDS
            ) as ring,
        ):
            say(f"a ring of {options.nodes} is up")
            results = measure(ring, subjects, options.rounds, options.seconds)
    except RingError as error:
        fail(str(error))
    nodes = "1 node" if options.nodes == 1 else f"{options.nodes} nodes"
    print(
        f"Cassandra: {nodes}; median (smallest-largest) of {options.rounds} rounds of "
        f"{options.seconds} s; {conditions()}\n"
    )
    print(f"Durable events/s\n\n{results.throughput(LOADS)}\n")
    print(f"CPU time in us per event\n\n{cpu_table(results)}\n")
    print(f"Latency at {STEADY}, from when an event was due\n\n{latency_table(results)}")
    for note in notes:
        print(f"\n{note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
