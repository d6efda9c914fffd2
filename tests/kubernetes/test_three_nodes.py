"""Planned work on three nodes, and a death, while a ring and spread receivers take events."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.http import request
from harness.kubernetes import Lab
from harness.verification import Bounds
from harness.waiting import wait_for
from kubelab import product
from kubelab.layout import MANIFESTS, nodes
from tests.cluster.load import Load, load
from tests.support.say import Say

NODES = 3
LOAD = ("--rate", "100")
PHASE = 600
HOLD_SECONDS = 300.0  # of the autoscaler, and of a metric that it looks at
ANY = 1_000_000
SHARE = 10  # % of what a pod asks for: here one machine has all the load, and all the pods

pytestmark = pytest.mark.usefixtures("at_length")


@pytest.fixture
def three_receivers(kubernetes: Lab) -> Lab:
    """All of it well, with a receiver on each node."""
    kubernetes.kubectl("scale", "deployment/webhook", "--replicas=3")
    kubernetes.await_ready("cassandra", 3)
    kubernetes.await_ready("webhook", 3)
    return kubernetes


@pytest.fixture
def autoscaled(three_receivers: Lab) -> Iterator[Lab]:
    three_receivers.kubectl("apply", "-k", str(MANIFESTS / "autoscale"))
    path = "/spec/metrics/0/resource/target/averageUtilization"
    patch = json.dumps([{"op": "replace", "path": path, "value": SHARE}])
    three_receivers.kubectl("patch", "hpa/webhook", "--type=json", f"--patch={patch}")
    yield three_receivers
    three_receivers.kubectl("delete", "-k", str(MANIFESTS / "autoscale"))


def failed_of(running: Load, say: Say, what: str) -> int:
    """How many events of a load that has ended were not acknowledged; says what came of it."""
    say(f"{what}: {running.verdict}; errors {running.summary['errors']}")
    return running.failed


def test_each_node_has_one_of_the_ring_and_a_receiver(three_receivers: Lab) -> None:
    three_receivers.command("status")
    names = {node.name for node in nodes()}
    for app in ("cassandra", "webhook"):
        assert {pod.node for pod in product.pods(app)} == names


def test_scaling_fails_no_event(three_receivers: Lab, tmp_path: Path, say: Say) -> None:
    with load(three_receivers, tmp_path / "ledger", Bounds(3 * PHASE, 0), *LOAD) as running:
        for number in (6, 3):
            three_receivers.kubectl("scale", "deployment/webhook", f"--replicas={number}")
            three_receivers.await_ready("webhook", number)
            running.acknowledge(PHASE)
    assert failed_of(running, say, "3 to 6 to 3") == 0


def test_a_rolling_release_fails_no_event(three_receivers: Lab, tmp_path: Path, say: Say) -> None:
    with load(three_receivers, tmp_path / "ledger", Bounds(2 * PHASE, 0), *LOAD) as running:
        three_receivers.command("release", "0.1.0-rolled")
        three_receivers.await_ready("webhook", 3)
        running.acknowledge(PHASE)
    assert failed_of(running, say, "release") == 0


def test_a_restart_of_the_ring_fails_no_event(
    three_receivers: Lab, tmp_path: Path, say: Say
) -> None:
    """One after another; each comes back with another address."""
    before = {pod.address for pod in product.pods("cassandra")}
    with load(three_receivers, tmp_path / "ledger", Bounds(2 * PHASE, 0), *LOAD) as running:
        three_receivers.kubectl("rollout", "restart", "statefulset/cassandra")
        three_receivers.kubectl("rollout", "status", "statefulset/cassandra", "--timeout=900s")
        running.acknowledge(PHASE)
    assert not before & {pod.address for pod in product.pods("cassandra")}
    assert failed_of(running, say, "restart of the ring") == 0


@pytest.mark.parametrize("number", range(1, NODES + 1))
def test_draining_a_node_fails_no_event(
    three_receivers: Lab, tmp_path: Path, number: int, say: Say
) -> None:
    """Its Cassandra waits for the node, where its volume is; its receiver goes to another."""
    node = f"node-{number}"
    drain = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s")
    with load(three_receivers, tmp_path / "ledger", Bounds(2 * PHASE, 0), *LOAD) as running:
        try:
            three_receivers.kubectl(*drain)
            assert node not in {pod.node for pod in product.pods("webhook")}
            three_receivers.await_ready("webhook", 3)
            running.acknowledge(PHASE)
        finally:
            three_receivers.kubectl("uncordon", node)
        three_receivers.await_ready("cassandra", 3)
    assert failed_of(running, say, f"drain of {node}") == 0


def test_a_node_dies_silently_and_nothing_acknowledged_is_lost(
    three_receivers: Lab, tmp_path: Path, say: Say
) -> None:
    """Its door is dead; the others fail what they send to its receiver, until it is noticed."""
    with load(three_receivers, tmp_path / "ledger", Bounds(3 * PHASE, ANY), *LOAD) as running:
        try:
            three_receivers.command("kill", "node-3")
            running.acknowledge(PHASE)
            wait_for(
                lambda: all(pod.node != "node-3" for pod in product.pods("webhook") if pod.ready),
                "the API's word that its receiver is not ready",
                120,
                1,
            )
            running.acknowledge(PHASE)
        finally:
            three_receivers.command("start", "node-3")
        three_receivers.await_ready("cassandra", 3)
        three_receivers.await_ready("webhook", 3)
    failed_of(running, say, "a node without power")
    for door in three_receivers.doors:
        assert request("GET", f"{door}/ready").status == 200


def test_the_number_of_pods_follows_the_load(autoscaled: Lab, tmp_path: Path, say: Say) -> None:
    """By CPU: as many as a load takes, and fewer when it has ended. No event fails."""

    def wanted() -> int:
        said = json.loads(autoscaled.kubectl("get", "hpa/webhook", "--output=json"))
        return int(said["status"].get("desiredReplicas", 0))

    rate = ("--rate", "700")
    with load(autoscaled, tmp_path / "ledger", Bounds(2 * PHASE, 0), *rate) as running:
        most = wait_for(lambda: max(wanted(), 3) if wanted() > 3 else 0, "more pods", HOLD_SECONDS)
        running.acknowledge(PHASE)
    assert failed_of(running, say, f"{most} pods where there were 3") == 0
    wait_for(lambda: wanted() < most, "fewer pods", 2 * HOLD_SECONDS, 2)
