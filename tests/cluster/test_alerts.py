"""Each alert fires on a real cluster, for what it is about.

The rules are those that are shipped, with their times: the longest is EventsNotStored's, which is
worked out by the minute. One fault sets off several, so that all of it takes eight minutes. What
they don't fire for, and when each ends, is in prometheus/tests. What else AllocationsMissing and
AutoscalerDead are about is in test_prometheus.py.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.layout import NODES, PROMETHEUS
from harness.cluster import DOORS, Cluster, processes_on
from harness.generator import Generator
from harness.http import request
from harness.waiting import wait_for, wait_until_none
from tests.cluster.sizing import (
    ANEW_SECONDS,
    await_firing,
    beside,
    firing,
    follows,
    forget,
    frozen,
    known_seconds,
)
from tests.support.say import Say

pytestmark = pytest.mark.usefixtures("at_length", "anew")

FIRES_SECONDS = 360.0
"""Three minutes, and a busy machine."""
LONGEST_SECONDS = 130
"""More than any alert waits for."""
ALWAYS = "AlertsWork"
LIMIT, RATE = 5, 60
"""Events/s that one allocation takes, and that are offered: more are wanted than there may be."""
POSTS, EVENTS_EACH = 18, 1000
"""Events that wait at one receiver: 18,000, of 20,000 that it may hold."""
FROZEN_SECONDS, RUNNING_SECONDS = 1.5, 0.5


@pytest.fixture(scope="module")
def anew(at_length: None, sized: Cluster) -> None:  # noqa: ARG001
    """A Prometheus that has seen nothing of what tests before have done."""
    forget(sized)
    sized.command("run", PROMETHEUS)


def test_at_rest_only_the_one_that_always_fires_does(sized: Cluster) -> None:
    sized.await_well()
    wait_for(lambda: known_seconds() > LONGEST_SECONDS, "all to have had time", FIRES_SECONDS, 1)
    wait_for(lambda: firing() == {ALWAYS}, f"{ALWAYS}, and no other", ANEW_SECONDS, 0.5)


@pytest.fixture
def limited(by_hand: Cluster) -> Iterator[Cluster]:
    """Two allocations that take little, and nobody who adds more."""
    limit = f"events_per_second={LIMIT}"
    by_hand.command("run", "-var", "count=2", "-var", limit, "webhook")
    try:
        yield by_hand
    finally:
        by_hand.command("run", "-var", "count=2", "webhook")


def test_more_is_wanted_than_there_can_be_and_nobody_scales(
    limited: Cluster, tmp_path: Path, say: Say
) -> None:
    with Generator(DOORS, tmp_path / "one", "--rate", f"{RATE}", "--seconds", "900") as run:
        began = time.monotonic()
        for name in ("AutoscalerDead", "CountNotReached", "AtTheLimit", "EventsNotStored"):
            await_firing(name, seconds=FIRES_SECONDS)
            say(f"{name} after {time.monotonic() - began:.0f} s of load at most")
        run.finish(interrupt=True)
    assert limited.count() == 2


def test_one_allocation_is_not_enough(by_hand: Cluster, say: Say) -> None:
    name = "AllocationsMissing"
    wait_until_none(lambda: firing() & {name}, "no alert", FIRES_SECONDS, 0.5)
    by_hand.command("scale", "1")
    try:
        say(f"{name} after {await_firing(name, seconds=FIRES_SECONDS):.0f} s")
    finally:
        by_hand.command("scale", "2")


def cassandras(count: int) -> list[int]:
    """Cassandra's processes on so many nodes."""
    return [
        pid
        for node in NODES[:count]
        for pid, line in processes_on(node).items()
        if "CassandraDaemon" in line
    ]


def test_the_store_is_slow_and_then_hangs(by_hand: Cluster, tmp_path: Path, say: Say) -> None:
    """Without two of three nodes nothing can be written."""
    follows(by_hand, 2)
    address = by_hand.passing()[0].address
    two = cassandras(2)

    def stutter(over: threading.Event) -> None:
        while not over.is_set():
            with frozen(two):
                over.wait(FROZEN_SECONDS)
            over.wait(RUNNING_SECONDS)

    def post(over: threading.Event) -> None:
        body = json.dumps([{"type": "held"}] * EVENTS_EACH).encode()
        while not over.is_set():
            with suppress(OSError):
                request("POST", f"http://{address}/events", body, seconds=30)

    with Generator(DOORS, tmp_path / "slow", "--rate", "20", "--seconds", "1800") as run:
        with beside(stutter):
            slow = await_firing("StoreIsTheLimit", seconds=FIRES_SECONDS)
        with frozen(two), beside(post, POSTS):
            full = await_firing("ReceiverFull", "OutcomeUnknown", seconds=FIRES_SECONDS)
        run.finish(interrupt=True)
    say(f"StoreIsTheLimit after {slow:.0f} s, ReceiverFull and OutcomeUnknown after {full:.0f} s")
    by_hand.await_well()
