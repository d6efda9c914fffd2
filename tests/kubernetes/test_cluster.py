"""The product on Kubernetes: what users do to it, while it takes events."""

import json
from pathlib import Path

import pytest

from harness.http import count, request
from harness.kubernetes import Lab
from harness.verification import Bounds
from harness.waiting import wait_for
from kubelab import product
from kubelab.layout import MANIFESTS
from tests.cluster.load import load

NODES = 1
LOAD = ("--rate", "100")
PHASE = 600


@pytest.fixture
def two_receivers(kubernetes: Lab) -> Lab:
    """All of it well, with two receivers."""
    kubernetes.kubectl("scale", "deployment/webhook", "--replicas=2")
    kubernetes.await_ready("cassandra", 1)
    kubernetes.await_ready("webhook", 2)
    return kubernetes


def test_every_part_is_well_and_nobody_may_more_than_it_needs(two_receivers: Lab) -> None:
    two_receivers.command("status")
    said = two_receivers.kubectl("get", "pods", "--output=yaml")
    assert "readOnlyRootFilesystem: false" not in said
    assert "serviceAccountToken" not in said
    for account in ("webhook", "cassandra", "tgibf", "default"):
        who = f"--as=system:serviceaccount:teracompra:{account}"
        said = two_receivers.kubectl("auth", "can-i", "list", "secrets", who, code=1)
        assert said.strip() == "no"
    rogue = ("run", "rogue", "--image=teracompra/webhook:0.1.0", "--privileged", "--restart=Never")
    assert "violates PodSecurity" in two_receivers.kubectl(*rogue, code=1)


def test_the_live_page_of_any_has_all_receivers(two_receivers: Lab) -> None:
    (door, *_) = two_receivers.doors
    pods = sorted((pod.name, pod.node) for pod in product.pods("webhook"))

    def listed() -> list[tuple[str, str]]:
        found = request("GET", f"{door}/allocations").json["allocations"] or []
        return [(one["id"], one["node"]) for one in found]

    wait_for(lambda: listed() == pods, "the list of both", 30)  # DNS remembers for 5 s


def test_the_count_has_every_event_of_the_job_tgibf(two_receivers: Lab) -> None:
    (door, *_) = two_receivers.doors
    before = count(door).events
    two_receivers.kubectl("delete", "-k", str(MANIFESTS / "tgibf"), "--ignore-not-found")
    two_receivers.kubectl("apply", "-k", str(MANIFESTS / "tgibf"))
    two_receivers.kubectl("wait", "job/tgibf", "--for=condition=Complete", "--timeout=120s")
    summary = json.loads(two_receivers.kubectl("logs", "job/tgibf"))
    assert summary["refused"] == summary["unknown"] == 0
    assert summary["acked"] == 300 * 20
    wait_for(lambda: count(door).events - before == summary["acked"], "the job's count")


def test_scaling_fails_no_event(two_receivers: Lab, tmp_path: Path) -> None:
    with load(two_receivers, tmp_path / "ledger", Bounds(3 * PHASE, 0), *LOAD) as running:
        for number in (4, 2):
            two_receivers.kubectl("scale", "deployment/webhook", f"--replicas={number}")
            two_receivers.await_ready("webhook", number)
            running.acknowledge(PHASE)
    assert running.failed == 0, running.verdict


def test_a_rolling_release_fails_no_event(two_receivers: Lab, tmp_path: Path) -> None:
    before = {pod.name for pod in product.pods("webhook")}
    with load(two_receivers, tmp_path / "ledger", Bounds(2 * PHASE, 0), *LOAD) as running:
        two_receivers.command("release", "0.1.0-again")
        two_receivers.await_ready("webhook", 2)
        running.acknowledge(PHASE)
    assert running.failed == 0, running.verdict
    after = product.pods("webhook")
    assert not before & {pod.name for pod in after}
    assert {pod.image for pod in after} == {"teracompra/webhook:0.1.0-again"}


def test_draining_the_only_node_stops_at_the_last_receiver(
    two_receivers: Lab, tmp_path: Path
) -> None:
    with load(two_receivers, tmp_path / "ledger", Bounds(2 * PHASE, 0), *LOAD) as running:
        drain = ("drain", "node-1", "--pod-selector=app=webhook", "--timeout=15s")
        try:
            said = two_receivers.kubectl(*drain, code=1)
        finally:
            two_receivers.kubectl("uncordon", "node-1")
        assert "disruption budget" in said
        running.acknowledge(PHASE)
    assert running.failed == 0, running.verdict
