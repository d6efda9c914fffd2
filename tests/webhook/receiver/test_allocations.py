"""The list of allocations: receivers in a real Consul, asked one and all."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.consul import NODE, Consul
from harness.waiting import wait_for
from tests.support.answering import vector
from tests.support.checked_receiver import Receiver
from tests.support.gates import GATE, gate_in

pytestmark = pytest.mark.consul

# What Nomad calls the service of an allocation, and its short id of that allocation.
OF_NOMAD = "_nomad-task-8f2c1a07-b095-d64e-f241-23860da1375f-group-webhook-webhook-http"
SHORT_ID = "8f2c1a07"


@pytest.fixture
def consul(tmp_path: Path) -> Iterator[Consul]:
    with Consul(tmp_path) as running:
        yield running


@pytest.fixture
def three(tmp_path: Path, consul: Consul) -> Iterator[list[Receiver]]:
    """Receivers that call themselves a, b and c, in Consul as webhook-a, -b and -c, with checks."""
    with ExitStack() as stack:
        receivers = []
        for name in "abc":
            path = tmp_path / f"{name}.db"
            receiver = stack.enter_context(Receiver(path, consul=consul.url, allocation=name))
            consul.register(f"webhook-{name}", receiver.port)
            receivers.append(receiver)
        yield receivers


def allocations(receiver: Receiver) -> list[dict[str, Any]]:
    """The list as `receiver` has it; empty where Consul did not tell in time."""
    answer = receiver.get("/allocations")
    assert answer.status == 200
    return answer.json["allocations"] or []


def rates(receiver: Receiver) -> dict[str, float | None]:
    return {row["id"]: row["events_per_second"] for row in allocations(receiver)}


def wait_for_ids(receiver: Receiver, *expected: str) -> None:
    """Until `receiver` lists those, in this order."""
    wait_for(
        lambda: list(rates(receiver)) == list(expected),
        f"{' '.join(expected)} listed",
    )


def wait_for_rates(receiver: Receiver, expected: dict[str, float | None]) -> None:
    """Until `receiver` lists those, each with its events/s."""
    wait_for(lambda: rates(receiver) == expected, f"rates {expected}")


def test_whichever_answers_lists_all(three: list[Receiver]) -> None:
    for asked, name in zip(three, "abc", strict=True):
        wait_for_ids(asked, "a", "b", "c")
        wait_for_rates(asked, {"a": 0.0, "b": 0.0, "c": 0.0})
        assert [(row["node"], row["address"], row["this"]) for row in allocations(asked)] == [
            (NODE, f"127.0.0.1:{receiver.port}", id_ == name)
            for id_, receiver in zip("abc", three, strict=True)
        ]


def test_each_has_its_own_rate(three: list[Receiver]) -> None:
    def told_of_two_that_receive(asked: Receiver) -> bool:
        three[0].post_many(10)
        three[1].post_many(20)
        told = rates(asked)
        return bool(told.get("a") and told.get("b")) and told["c"] == 0.0

    # 1. Two receive, the third is idle: whichever is asked knows.
    for asked in three:
        wait_for(partial(told_of_two_that_receive, asked), "the rate of each")

    # 2. Nobody receives any more.
    wait_for_rates(three[2], {"a": 0.0, "b": 0.0, "c": 0.0})


def test_one_that_dies_is_gone_once_consul_says_so(three: list[Receiver], consul: Consul) -> None:
    wait_for_ids(three[0], "a", "b", "c")
    three[2].kill()
    wait_for(lambda: len(consul.passing()) == 2, "Consul to notice")
    for asked in three[:2]:
        wait_for_ids(asked, "a", "b")


def test_one_that_hangs_is_listed_without_a_rate(tmp_path: Path, consul: Consul) -> None:
    with (
        Receiver(tmp_path / "a.db", consul=consul.url, allocation="a") as asked,
        Receiver(tmp_path / "b.db", allocation="b") as hung,
    ):
        consul.register("webhook-a", asked.port)
        consul.register(OF_NOMAD, hung.port, checked=False)
        wait_for_rates(asked, {"a": 0.0, "b": 0.0})

        # 1. It stops in its tracks: it has no rate, and keeps the name that it gave.
        os.kill(hung.pid, signal.SIGSTOP)
        wait_for_rates(asked, {"a": 0.0, "b": None})

        # 2. It goes on.
        os.kill(hung.pid, signal.SIGCONT)
        wait_for_rates(asked, {"a": 0.0, "b": 0.0})


def test_what_is_no_receiver_has_no_rate(tmp_path: Path, consul: Consul) -> None:
    with Receiver(tmp_path / "a.db", consul=consul.url, allocation="a") as asked:
        consul.register("other", consul.port, checked=False)
        consul.register(OF_NOMAD, 1, checked=False)
        wait_for_rates(asked, {SHORT_ID: None, "other": None})


def test_without_consul_everything_else_works(three: list[Receiver], consul: Consul) -> None:
    asked = three[0]
    wait_for_ids(asked, "a", "b", "c")

    # 1. Consul dies: no list, and nothing else is missing.
    consul.stop()
    wait_for(
        lambda: asked.get("/allocations").json == {"allocations": None, "wanted": None}, "no list"
    )
    asked.post_many(7)
    assert asked.count() == 7
    assert asked.get("/events/minutes").json["count"] == 7
    assert asked.get("/").status == 200

    # 2. It is back, and knows who is there.
    consul.start()
    for name, receiver in zip("abc", three, strict=True):
        consul.register(f"webhook-{name}", receiver.port)
    wait_for(lambda: asked.get("/allocations").json["allocations"], "a list again")
    wait_for_ids(asked, "a", "b", "c")

    # Result: each change was logged, and not each question.
    assert asked.log.count("no list of allocations until Consul") == 1
    assert asked.log.count("Consul lists the live allocations again") == 1


def test_tells_how_many_are_wanted_while_somebody_says(tmp_path: Path, consul: Consul) -> None:
    with Receiver(tmp_path / "a.db", consul=consul.url, autoscaler=GATE, allocation="a") as asked:
        consul.register("webhook-a", asked.port)

        def tells(wanted: int | None) -> bool:
            return bool(asked.get("/allocations").json["wanted"] == wanted)

        # 1. There is no autoscaler.
        wait_for_ids(asked, "a")
        assert tells(None)

        # 2. There is one, which has not asked yet; then it has.
        with gate_in(consul) as gate:
            wait_for_ids(asked, "a")
            assert tells(None)
            gate.evaluate(vector("4"))
            wait_for(lambda: tells(4), "the number")

            # 3. It holds the count.
            gate.evaluate(vector("+Inf"))
            wait_for(lambda: tells(None), "no number")
            gate.evaluate(vector("5"))
            wait_for(lambda: tells(5), "a number again")

        # 4. It is gone, and Consul does not know yet.
        wait_for(lambda: tells(None), "nobody to say")
        wait_for_ids(asked, "a")


def test_who_has_no_consul_lists_nobody(receiver: Receiver) -> None:
    assert receiver.get("/allocations").json == {"allocations": None, "wanted": None}
    receiver.post_many(10)
    wait_for(lambda: receiver.get("/allocation").json["events_per_second"], "a rate")
    itself = receiver.get("/allocation").json
    assert itself["id"] == f"{itself['node']}:{receiver.port}"
    assert itself["address"] == f"127.0.0.1:{receiver.port}"


def test_shows_the_token(tmp_path: Path) -> None:
    with (
        Consul(tmp_path, token="d1b2a6a0-7f0e-4e7c-9a51-0b8a2f6f0c11") as consul,
        Receiver(
            tmp_path / "a.db", consul=consul.url, consul_token=consul.token, allocation="a"
        ) as trusted,
        Receiver(tmp_path / "b.db", consul=consul.url, allocation="b") as stranger,
    ):
        consul.register("webhook-a", trusted.port)
        wait_for_ids(trusted, "a")
        wait_for(
            lambda: stranger.get("/allocations").json == {"allocations": [], "wanted": None},
            "nothing told",
        )
