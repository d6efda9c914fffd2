"""A real gate of the autoscaler's in a real Consul, with what Prometheus would answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cluster.autoscaling.gate import Gate, serving
from cluster.layout import PROMETHEUS
from harness.consul import Consul
from tests.support.answering import answering, running

GATE = "autoscaler-gate"
"""Its service, as nomad/autoscaler.nomad has it."""


@dataclass
class Evaluated:
    """A gate that asks when a test says so, and not each 5 s."""

    gate: Gate
    answers: list[bytes] = field(default_factory=list)

    def evaluate(self, answer: bytes) -> None:
        """Ask, as the autoscaler does; Prometheus answers so."""
        self.answers.append(answer)
        self.gate.query(b"query=webhook:wanted", "application/x-www-form-urlencoded")


@contextmanager
def gate_in(consul: Consul) -> Iterator[Evaluated]:
    """It is registered, and stays so after its end: Consul does not look."""
    gate = Gate(("127.0.0.1", consul.port), ("127.0.0.1", 1))
    evaluated = Evaluated(gate)
    with (
        answering(lambda _path: (200, evaluated.answers[-1])) as prometheus,
        running(serving(gate, 0)) as server,
    ):
        for name, port in ((PROMETHEUS, prometheus[1]), (GATE, server.server_port)):
            service = {"Name": name, "Port": port, "Address": "127.0.0.1"}
            consul.request("PUT", "/v1/agent/service/register", service)
        yield evaluated
