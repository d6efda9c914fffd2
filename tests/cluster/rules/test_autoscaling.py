"""The autoscaler's gate: 502 for all but one number of allocations, and what people are told."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import pytest

from cluster.autoscaling.answers import NoCountError, count_of
from cluster.autoscaling.gate import QUERY, Gate, serving
from cluster.autoscaling.view import SILENT_SECONDS, Autoscaler
from tests.support.answering import Answer, answering, running, vector

POLICY = b"# TYPE nomad_autoscaler_policy_total_num gauge\nnomad_autoscaler_policy_total_num %d\n"


NO_COUNTS = {
    "infinite": (vector("+Inf"), "the value is inf"),
    "not a number": (vector("NaN"), "the value is nan"),
    "absent": (vector(), "no value"),
    "two streams": (vector("3", "4"), "there are 2 values, not one"),
    "nothing": (vector("0"), "the value is 0, not between 1 and 1000"),
    "negative": (vector("-Inf"), "the value is -inf"),
    "too large": (vector("1001"), "the value is 1001, not between 1 and 1000"),
    "no JSON": (b"<html>", "this is not an answer of Prometheus'"),
    "another shape": (b'{"data": []}', "this is not an answer of Prometheus'"),
}


@pytest.mark.parametrize("name", NO_COUNTS)
def test_what_is_not_one_number_is_no_count(name: str) -> None:
    body, why = NO_COUNTS[name]
    with pytest.raises(NoCountError, match=f"^{why}$"):
        count_of(body)


def test_one_number_is_a_count() -> None:
    assert count_of(vector("4")) == 4
    scalar = {"data": {"resultType": "scalar", "result": [1.5, "6"]}}
    assert count_of(json.dumps(scalar).encode()) == 6


def entries(*addresses: tuple[str, int]) -> bytes:
    """What Consul says of a service with these instances."""
    services = [{"Service": {"Address": host, "Port": port}} for host, port in addresses]
    return json.dumps(services).encode()


class Surroundings:
    """What the gate asks: Consul, Prometheus, the autoscaler."""

    def __init__(self) -> None:
        self.prometheus: Answer = (200, vector("4"))
        self.at: list[tuple[str, int]] = []
        self.webhooks: list[tuple[str, int]] = [("192.168.56.11", 20000)]
        self.metrics: Answer = (200, POLICY % 1)

    def consul(self, path: str) -> Answer:
        """Its answer."""
        found = self.at if "/prometheus?" in path else self.webhooks
        return 200, entries(*found)


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
def gate(around: Surroundings) -> Iterator[Gate]:
    with (
        answering(around.consul) as consul,
        answering(lambda _path: around.prometheus) as prometheus,
        answering(lambda _path: around.metrics) as autoscaler,
    ):
        around.at = [prometheus]
        yield Gate(consul, autoscaler)


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def test_a_number_goes_through_and_everything_else_is_a_502(
    gate: Gate, around: Surroundings
) -> None:
    with running(serving(gate, 0)) as server:
        port = server.server_port
        assert ask(port, "POST", QUERY, b"query=x") == (200, json.loads(vector("4")))
        assert ask(port, "GET", "/view")[1]["wanted"] == 4
        for body, why in NO_COUNTS.values():
            around.prometheus = (200, body)
            status, said = ask(port, "POST", QUERY, b"query=x")
            assert (status, said["error"]) == (502, why)
            view = ask(port, "GET", "/view")[1]
            assert (view["wanted"], view["why"]) == (None, why)
        around.prometheus = (503, b"Service Unavailable")
        assert ask(port, "POST", QUERY)[0] == 502
        assert ask(port, "GET", QUERY)[0] == 405
        assert ask(port, "GET", "/")[0] == 404


def test_a_prometheus_that_is_gone_is_a_502_until_it_is_back(
    gate: Gate, around: Surroundings
) -> None:
    there = around.at
    # 1. Consul knows none yet.
    around.at = []
    assert gate.query(b"", "")[0] == 502
    # 2. It is there; then Consul takes it for dead, and it is asked all the same.
    around.at = there
    assert gate.query(b"", "")[0] == 200
    around.at = []
    assert gate.query(b"", "")[0] == 200
    # 3. Another one, where nothing listens.
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        around.at = [gone.getsockname()]
    assert gate.query(b"", "")[0] == 502
    assert "refused" in gate.view().why
    around.at = there
    assert gate.query(b"", "")[0] == 200


def test_an_autoscaler_without_a_policy_is_not_alive_unless_nothing_is_to_be_scaled(
    gate: Gate, around: Surroundings
) -> None:
    assert gate.alive()
    for metrics in ((200, POLICY % 0), (200, b""), (500, b"")):
        around.metrics = metrics
        assert not gate.alive()
    around.webhooks = []
    assert gate.alive()


def test_what_people_are_told() -> None:
    one = Autoscaler(4, "", 2.0)
    assert one.evaluates
    assert one.words() == "autoscaler evaluates"
    holds = Autoscaler(None, "the value is inf", 2.0)
    assert not holds.evaluates
    assert holds.words() == "autoscaler holds the count: the value is inf"
    silent = replace(one, asked_seconds_ago=SILENT_SECONDS)
    assert not silent.evaluates
    assert silent.words() == "autoscaler does not evaluate"
