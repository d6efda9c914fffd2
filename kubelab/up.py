"""Starts what does not run yet, until the product takes events; and says what runs."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from artifacts.binaries import provide
from artifacts.go import architecture
from artifacts.kubernetes import KUBE
from cluster.linux.namespace import await_that
from cluster.nodes.namespaces import refuse_memory
from kubelab import certificates, images, kubectl, nodes, services
from kubelab.layout import (
    MANIFESTS,
    MOST_NODES,
    NAMESPACE,
    ON_NODES,
    STATE,
    TRAFFIC_PORT,
    LabError,
    Node,
    keep_count,
)
from kubelab.layout import nodes as all_nodes
from tools.say import say

NODES_FOR_A_RING = 3
API_SECONDS = 300.0
READY_SECONDS = 300.0
RING_SECONDS = 900.0
IMPORTED = "imported"
ADDONS = ("deployment/coredns", "deployment/metrics-server")


def up(count: int, *, bare: bool) -> None:
    """Have a cluster of `count` nodes, and unless it is to be bare the product. Raises LabError."""
    refuse_memory(STATE)
    nodes.refuse_taken_networks()
    _settle_count(count)
    began = time.monotonic()
    with _timed("programs"):
        _put_programs()
    certificates.make(STATE / "pki", all_nodes())
    with _timed("images"):
        archive, digest = images.write_all()
    with _timed(f"{count} nodes ready"):
        for node in all_nodes():
            nodes.start(node)
        load(archive, digest)
        _await_nodes(count)
    with _timed("add-ons"):
        kubectl.apply(MANIFESTS / "addons")
        for one in ADDONS:
            kubectl.must("-n", "kube-system", "rollout", "status", one, f"--timeout={_READY}")
    if not bare:
        with _timed("the product"):
            kubectl.apply(overlay(count))
            await_product()
    say(f"up, after {time.monotonic() - began:.0f} s")
    for node in all_nodes():
        print(f"events: POST {_door(node)}/events")


_READY = f"{READY_SECONDS:.0f}s"


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


def _settle_count(count: int) -> None:
    if not 1 <= count <= MOST_NODES:
        raise LabError(f"{count} nodes are not possible: allowed is 1 to {MOST_NODES}")
    there = len(all_nodes())
    if there not in {0, count}:
        raise LabError(f"there is a cluster of {there} nodes; scripts/kubernetes down, then up")
    keep_count(count)


def _put_programs() -> None:
    """One program under the names of all its parts."""
    folder = STATE / "bin"
    folder.mkdir(exist_ok=True)
    source, target = provide(KUBE, architecture()), folder / KUBE.name
    if not target.exists():
        try:
            os.link(source, target)
        except OSError:  # another disk
            shutil.copy(source, target)
    for name in services.PROGRAMS:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(KUBE.name)


def load(archive: Path, digest: str) -> None:
    """Put the archive's images on all nodes that run and don't have them. Raises LabError."""
    seen = ON_NODES / archive.relative_to(STATE)
    imports = []
    for node in filter(nodes.running, all_nodes()):
        marker = node.directory / f"{IMPORTED}-{archive.stem}"
        if not marker.exists() or marker.read_text() != digest:
            _await_containerd(node)
            command = ["ctr", "-n", "k8s.io", "images", "import", str(seen)]
            imports.append((node, marker, _start(nodes.machine(node).inside(*command))))
    for node, marker, process in imports:
        _, said = process.communicate()
        if process.returncode:
            raise LabError(f"{node.name} could not take the images: {said.strip()}")
        marker.write_text(digest)


def _await_containerd(node: Node) -> None:
    look = nodes.machine(node).inside("test", "-S", services.CONTAINERD_SOCKET)
    await_that(
        lambda: subprocess.run(look, check=False).returncode == 0,
        f"containerd of {node.name}",
        API_SECONDS,
    )


def _start(command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _await_nodes(count: int) -> None:
    """Return when all nodes are ready. Raises LabError."""

    def registered() -> bool:
        done = kubectl.run("get", "nodes", "--output=name")
        return done.returncode == 0 and len(done.stdout.split()) == count

    await_that(registered, f"{count} nodes that report to the API", API_SECONDS)
    kubectl.must("wait", "nodes", "--all", "--for=condition=Ready", f"--timeout={_READY}")


def overlay(count: int) -> Path:
    """The product's manifests for so many nodes."""
    return MANIFESTS / "overlays" / ("ring" if count >= NODES_FOR_A_RING else "minikube")


def await_product(seconds: float = RING_SECONDS) -> None:
    """Return when the ring, its schema and the receivers are well. Raises LabError."""
    within = f"--timeout={seconds:.0f}s"
    product = ("--namespace", NAMESPACE)
    kubectl.must(
        *(*product, "rollout", "status", "statefulset/cassandra", within), seconds=seconds + 10
    )
    # Not its rollout's status: that gives a Deployment up which had to wait for its ring.
    kubectl.must(
        *(*product, "wait", "deployment/webhook", "--for=condition=Available", within),
        seconds=seconds + 10,
    )


def release(tag: str) -> None:
    """Make an image of this checkout, put it on all nodes, and roll the webhook to it.

    A release that can't start is taken back. Raises LabError.
    """
    if not all_nodes():
        raise LabError("there is no cluster; scripts/kubernetes up")
    load(*images.write_release(tag))
    image = f"webhook=teracompra/webhook:{tag}"
    kubectl.must("-n", NAMESPACE, "set", "image", "deployment/webhook", image)
    try:
        kubectl.must("-n", NAMESPACE, "rollout", "status", "deployment/webhook")
    except LabError as error:
        kubectl.must("-n", NAMESPACE, "rollout", "undo", "deployment/webhook")
        raise LabError(
            f"{tag} did not start, and was taken back: {error}\n"
            f"       Its events: kubectl -n {NAMESPACE} get events"
        ) from error


def show_status() -> int:
    """Print what runs where; 0 if all of it is well."""
    if not all_nodes():
        raise LabError("there is no cluster; scripts/kubernetes up")
    dead = [node.name for node in all_nodes() if not nodes.running(node)]
    if dead:
        print(f"not running: {', '.join(dead)}")
    print(kubectl.must("get", "nodes", "--output=wide", seconds=120))
    print(kubectl.must("-n", NAMESPACE, "get", "deploy,sts,job,hpa,pod", "-o", "wide", seconds=120))
    done = kubectl.run(
        "-n",
        NAMESPACE,
        "wait",
        "pods",
        "--for=condition=Ready",
        "--selector=app in (webhook, cassandra)",
        "--timeout=1s",
    )
    return 1 if dead or done.returncode else 0


def _door(node: Node) -> str:
    return f"http://{node.address}:{TRAFFIC_PORT}"
