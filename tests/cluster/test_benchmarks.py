"""Benchmarks of right-sizing on the real cluster: a run of each, and jobs that are as they were."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.processes import processes_with
from harness.waiting import wait_for
from tests.support.say import Say
from tests.support.scripts import SCRIPTS

BENCH = SCRIPTS / "bench"
SMALL = ("--minutes", "1", "--rounds", "1", "--limit", "40", "--most", "4")
EVALUATES_SECONDS = 120.0


@pytest.fixture(scope="module")
def sized(at_length: None, running_cluster: Cluster) -> Iterator[Cluster]:  # noqa: ARG001
    """The cluster with Prometheus and the autoscaler; afterwards without, as the others have it."""
    running_cluster.restore()
    running_cluster.up(autoscaling=True)
    try:
        wait_for(lambda: evaluates(running_cluster), "evaluations", EVALUATES_SECONDS, 1)
        yield running_cluster
    finally:
        running_cluster.up()


def evaluates(cluster: Cluster) -> bool:
    return "autoscaler evaluates" in cluster.command("status", code=None).stdout


def jobs(cluster: Cluster) -> dict[str, Any]:
    """What of the three jobs a benchmark changes."""

    def question(client: Any) -> dict[str, Any]:
        found = {name: client.job.get_job(name) for name in ("webhook", "prometheus", "autoscaler")}
        return {
            name: (one["Stop"], one["TaskGroups"][0]["Count"], one["TaskGroups"][0]["Tasks"])
            for name, one in found.items()
        }

    found = cluster.ask(question)
    assert isinstance(found, dict)
    return found


def bench(*arguments: str | Path) -> str:
    """What a benchmark printed, that has to end well."""
    done = subprocess.run(
        [BENCH, *arguments], capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(1800)
def test_a_signal_and_a_step_are_measured(sized: Cluster, tmp_path: Path, say: Say) -> None:
    before = jobs(sized)
    report: tuple[str | Path, ...] = ("--report", tmp_path / "signals")
    shown = bench("signals", *SMALL, *report, "--loads", "step", "--signals", "peak")
    say(shown)
    assert re.search(r"^\| peak \| 1", shown, re.MULTILINE)
    assert jobs(sized) == before
    report = ("--report", tmp_path / "goals")
    shown = bench("right-sizing", *SMALL, *report, "--cases", "step", "bursts-floor")
    say(shown)
    for figure in ("placed on nodes", "healthy to Nomad", "each has taken events"):
        line = rf"^\| step \| s from the step until {figure} \| (.+?) \|"
        found = re.search(line, shown, re.MULTILINE)
        assert found is not None
        assert "not reached" not in found[1]
    assert re.search(r"^\| Prometheus \| \d", shown, re.MULTILINE)
    assert jobs(sized) == before


@pytest.mark.timeout(600)
def test_one_that_is_ended_puts_the_jobs_back(sized: Cluster, tmp_path: Path) -> None:
    before = jobs(sized)
    folder = tmp_path / "signals"
    command: list[str | Path] = [BENCH, "signals", *SMALL, "--report", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        ledger = folder / "control" / "report" / "ledger-steady"
        wait_for(lambda: ledger.exists() and b"acked" in ledger.read_bytes(), "the load", 240, 0.2)
        assert jobs(sized) != before
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=240)
    assert running.returncode == 130, told
    assert "Traceback" not in told
    assert jobs(sized) == before
    assert not processes_with(str(folder))


def test_parts_are_seen_beside_what_they_have(sized: Cluster, say: Say) -> None:
    shown = bench("parts", "--seconds", "5")
    say(shown)
    rows = {line.split(" | ")[0].strip("| "): line for line in shown.splitlines()}
    assert f"| webhook | {sized.count()} | 160 | " in rows["webhook"]
    assert "| Prometheus | 1 | 96 to 256 | " in rows["Prometheus"]
    assert {"Fabio", "Fabio's routes", "autoscaler", "Cassandra", "Consul", "Nomad"} <= {*rows}
