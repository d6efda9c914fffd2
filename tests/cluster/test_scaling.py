"""More allocations, fewer, and other versions of them, under load: no event fails.

Something else keeps the processors busy meanwhile: a delay there must not cost an event.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.http import request
from harness.verification import Bounds
from tests.cluster.load import PHASE, load
from tests.support.say import Say

VERSION = "0.1.1-test"
NOT_THERE = "0.0.0-nowhere"


@pytest.fixture
def busy() -> Iterator[None]:
    """As many processes as there are processors, which do nothing but compute."""
    command = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        yield


def versions(cluster: Cluster) -> set[str]:
    """The versions of the allocations that take traffic, by Consul's tags."""
    tags = {tag for one in cluster.passing() for tag in one.tags}
    return {tag.removeprefix("version-") for tag in tags if tag.startswith("version-")}


@pytest.mark.long_rounds(20)
@pytest.mark.usefixtures("busy", "round_")
def test_scaling_up_and_down_fails_no_event(cluster: Cluster, tmp_path: Path, say: Say) -> None:
    cluster.scale(2)
    with load(cluster, tmp_path / "ledger", Bounds(3 * PHASE, 0)) as run:
        up = cluster.scale(5)
        run.acknowledge()
        down = cluster.scale(1)
        run.acknowledge()
    say(f"2 to 5 allocations in {up:.1f} s, 5 to 1 in {down:.1f} s: {run.verdict}")
    assert (run.code, run.failed) == (0, 0), run.summary


@pytest.mark.long_rounds(10)
@pytest.mark.usefixtures("busy", "round_")
def test_a_new_version_rolls_out_and_back_without_a_failed_event(
    cluster: Cluster, tmp_path: Path, say: Say
) -> None:
    (before,) = versions(cluster)
    cluster.scale(2)
    cluster.command("release", VERSION)
    with load(cluster, tmp_path / "ledger", Bounds(3 * PHASE, 0)) as run:
        # 1. Out.
        out = cluster.deploy(VERSION)
        cluster.await_passing(2)
        assert versions(cluster) == {VERSION}
        for one in cluster.passing():
            metrics = request("GET", f"http://{one.address}/metrics").body.decode()
            assert f'webhook_build_info{{version="{VERSION}"}} 1.0' in metrics
        assert cluster.count() == 2
        run.acknowledge()
        # 2. And back.
        back = cluster.deploy(before)
        cluster.await_passing(2)
        assert versions(cluster) == {before}
        run.acknowledge()
    say(f"2 allocations of a new version in {out:.1f} s, back in {back:.1f} s: {run.verdict}")
    assert (run.code, run.failed) == (0, 0), run.summary


@pytest.mark.usefixtures("at_length")
def test_a_version_that_cannot_start_replaces_nothing(
    cluster: Cluster, tmp_path: Path, say: Say
) -> None:
    cluster.scale(1)
    (before,) = cluster.passing()
    with load(cluster, tmp_path / "ledger", Bounds(2 * PHASE, 0)) as run:
        seconds = cluster.deploy(NOT_THERE, code=1)
        failed = cluster.ask(lambda client: client.job.get_deployments("webhook"))
        assert "failed" in {one["Status"] for one in failed}
        run.acknowledge()
        assert cluster.passing() == [before]
    say(f"a version that can't start was given up after {seconds:.1f} s: {run.verdict}")
    assert (run.code, run.failed) == (0, 0), run.summary
    job = cluster.ask(lambda client: client.job.get_job("webhook"))
    assert NOT_THERE not in str(job)
