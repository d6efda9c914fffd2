"""Faults of a ring of three under load: nothing acknowledged is lost, every count is exact.

Each test goes through Jepsen's phases: load and fault, heal, wait for recovery, final read. Two
receivers share the load. A round's result is the line that it prints.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cassandra import OperationTimedOut
from cassandra.cluster import NoHostAvailable

from harness.generator import Generator
from harness.ring import Ring
from harness.stores import new_store
from harness.verification import Bounds
from harness.waiting import wait_for
from tests.support.checked_receiver import EVENT, Receiver
from tests.support.faked_clock import FakedClock
from tests.support.verification import verify
from webhook.store.audit import stored
from webhook.store.contract import StartError

PHASE = 1000  # events acknowledged before, during and after each fault, at least
pytestmark = pytest.mark.long_rounds(5)

LOAD = ("--keep-alive", "--rate", "1000", "--timeout", "30")
SLOW_START_SECONDS = 300.0
HELD = 40_000  # at most so many events can be unknown: what 1,000/s bring in while nodes hang


@pytest.fixture
def ring(three_nodes: Ring) -> Ring:
    return three_nodes


@dataclass
class Run:
    """Load on receivers over one ring, and the ledger of it."""

    ring: Ring
    url: str
    receivers: list[Receiver]
    generator: Generator

    def acknowledge(self, events: int = PHASE, seconds: float = 60) -> None:
        """Return when so many more events were acknowledged."""
        self.generator.acknowledge(events, seconds)


@contextmanager
def load(
    ring: Ring,
    tmp_path: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
    prefixes: Sequence[Sequence[str]] = ((), ()),
    store: str = "",
) -> Iterator[Run]:
    """Receivers and a generator; at the end of the block, the verdict on all of it.

    There is a receiver for each of `prefixes`, which go before its command. By default the store
    is a new one.
    """
    url = store or new_store(ring)
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver(url, command=prefix)) for prefix in prefixes]
        for receiver in receivers:
            wait_for(receiver.ready, "ready", 30)
        with Generator([r.url for r in receivers], tmp_path / "ledger", *LOAD) as generator:
            run = Run(ring, url, receivers, generator)
            run.acknowledge()
            yield run
            errors = generator.finish(interrupt=True)["errors"]
            outcomes = generator.outcomes()
        alive = [r for r in run.receivers if r.process.poll() is None]
        line = verify(outcomes, url, alive, Bounds(3 * PHASE, HELD))
        with capsys.disabled():
            print(f"\n  {name}: {line}; errors {errors}")


def test_a_node_is_killed_and_returns(
    ring: Ring, tmp_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = 1 + round_ % 3
    with load(ring, tmp_path, f"kill -9 of node {victim}, round {round_}", capsys) as run:
        ring.kill(victim)
        run.acknowledge()
        ring.start_node(victim)
        ring.wait_up()
        run.acknowledge()


def test_a_node_hangs_for_twenty_seconds(
    ring: Ring, tmp_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = 1 + round_ % 3
    with load(ring, tmp_path, f"SIGSTOP of node {victim}, round {round_}", capsys) as run:
        ring.pause(victim)
        try:
            until = time.monotonic() + 20
            run.acknowledge()
            wait_for(lambda: time.monotonic() >= until, "twenty seconds", 30)
        finally:
            ring.resume(victim)
        ring.wait_up()
        run.acknowledge()


def test_a_receiver_is_killed(
    ring: Ring, tmp_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with load(ring, tmp_path, f"kill -9 of a receiver, round {round_}", capsys) as run:
        port = run.receivers[0].port
        run.receivers[0].kill()
        run.acknowledge()
        back = Receiver(run.url, address=f"127.0.0.1:{port}").start()
        run.receivers.append(back)
        try:
            wait_for(back.ready, "ready", 30)
            run.acknowledge()
        finally:
            back.stop()


def test_a_node_is_parted_from_the_others(
    ring: Ring, tmp_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its clients still reach it; afterwards, a repair must not change any count."""
    victim = 1 + round_ % 3
    with load(ring, tmp_path, f"partition of node {victim}, round {round_}", capsys) as run:
        ring.cut(victim)
        try:
            run.acknowledge()
        finally:
            ring.heal(victim)
        ring.wait_up()
        run.acknowledge()
    ring.nodetool(victim, "repair", "-full", run.url.rpartition("/")[2])
    with Receiver(run.url) as fresh:
        wait_for(fresh.ready, "ready", 30)
        assert fresh.count() == len(stored(run.url))


def test_with_two_of_three_nodes_down_nothing_is_acknowledged(
    ring: Ring, tmp_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    victims = [n for n in (1, 2, 3) if n != 1 + round_ % 3]
    with load(ring, tmp_path, f"nodes {victims} down, round {round_}", capsys) as run:
        for victim in victims:
            ring.kill(victim)
        wait_for(lambda: run.receivers[0].post(EVENT).status == 503, "refusal", 30)
        wait_for(lambda: run.receivers[1].post(EVENT).status == 503, "refusal", 30)
        before = run.generator.acknowledged()
        for receiver in run.receivers:
            for _ in range(20):
                answer = receiver.post(EVENT)
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert not receiver.ready()
        assert run.generator.acknowledged() == before
        for victim in victims:
            ring.start_node(victim)
        ring.wait_up()
        run.acknowledge(2 * PHASE, 30)


def test_a_write_that_one_node_alone_has_is_settled(ring: Ring, tmp_path: Path) -> None:
    """Its receiver dies, and the node that it had asked: nobody is left to repeat it.

    Counts would have it or not, whichever nodes they ask, until it leaves the window.
    """
    url = new_store(ring)
    with Receiver(url) as doomed:
        wait_for(doomed.ready, "ready", 30)
        wait_for(lambda: time.time() % 60 < 40, "twenty seconds of one minute", 30)
        assert doomed.post().status == 200
        for number in (2, 3):
            ring.hide(number)
        connected = "webhook_ring_connected_nodes"
        wait_for(lambda: doomed.metric(connected) == 1, "no way to two nodes", 30)
        ring.cut(1)
        with ThreadPoolExecutor(1) as pool:
            unanswered = pool.submit(doomed.post)
            time.sleep(1)  # it is on its way, which nothing tells
            doomed.kill()
            ring.kill(1)
            assert unanswered.exception() is not None
    time.sleep(3)  # so old a write is no longer taken from another node
    for number in (1, 2, 3):
        ring.heal(number)
    ring.wait_up(2, 3)
    wait_for(lambda: rows_of(url) == 1, "the quorum that has not heard of it answers", 60)
    ring.start_node(1)
    ring.wait_up()
    later = FakedClock(tmp_path / "offset", 300)  # in place of waiting for so long
    with Receiver(url, command=later.command) as other:

        def counts() -> int | None:  # never ready, with such a clock; but it counts
            answer: int | None = other.get("/events/count").json.get("count")
            return answer

        wait_for(lambda: counts() and "settled" in other.log, "the lane is settled", 30)
        ring.pause(1)  # the one node that had it
        wait_for(lambda: rows_of(url) == 2, "both events are stored without it", 60)
        wait_for(lambda: counts() == 2, "and counted", 30)
        ring.resume(1)


def rows_of(url: str) -> int | None:
    """How many events are stored; None while the ring, without a node, does not answer."""
    try:
        return len(stored(url))
    except StartError:
        return None


@pytest.mark.parametrize("clock", ["ahead", "behind", "set back"])
def test_a_receiver_whose_clock_is_wrong(
    ring: Ring, tmp_path: Path, clock: str, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """By 5 s, against the other receiver's and the ring's."""
    faked = FakedClock(tmp_path / "offset", {"ahead": 5, "behind": -5}.get(clock, 0))
    name = f"clock {clock}, round {round_}"
    with load(ring, tmp_path, name, capsys, prefixes=(faked.command, ())) as run:
        run.acknowledge()
        if clock == "set back":
            faked.set(-5)
            wait_for(
                lambda: run.receivers[0].metric("webhook_clock_behind_seconds") > 1,
                "the step back",
            )
        run.acknowledge()


@pytest.mark.usefixtures("at_length")
@pytest.mark.timeout(900)
def test_a_node_whose_clock_is_wrong(
    ring: Ring, tmp_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It jumps 5 s ahead, then 10 minutes, and then back to 10 minutes behind.

    The other nodes may take it for dead meanwhile.
    """
    victim = 1 + round_ % 3
    faked = FakedClock(tmp_path / "offset")
    store = new_store(ring)
    ring.nodetool(victim, "flush")  # with a faked clock a replay takes many times as long
    ring.kill(victim)
    ring.start_node(victim, faked.command)
    ring.wait_up(seconds=SLOW_START_SECONDS)
    name = f"clock of node {victim}, round {round_}"
    with load(ring, tmp_path, name, capsys, store=store) as run:
        for seconds in (5, 600):
            faked.set(seconds)
            wait_for(partial(is_ahead, ring, victim, seconds), "the step", 60, 0.5)
            run.acknowledge()
        faked.set(-600)  # CQL can't tell: `now()` never goes back
        until = time.monotonic() + 3
        wait_for(lambda: time.monotonic() >= until, "the step back", 30)
        run.acknowledge()
        ring.kill(victim)
        ring.start_node(victim)
        ring.wait_up()
        run.acknowledge()


def is_ahead(ring: Ring, number: int, seconds: int) -> bool:
    """Whether a node takes clients, with its clock that far ahead of this machine's."""
    try:
        with ring.session(number) as session:
            answer = session.execute("SELECT toTimestamp(now()) AS now FROM system.local")
    except (NoHostAvailable, OperationTimedOut):
        return False
    told: datetime = answer.one().now
    return abs((told.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds() - seconds) < 3
