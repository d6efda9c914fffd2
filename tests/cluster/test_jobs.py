"""The load generator as a batch job, the commands as they are typed, and all counts the same."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from cluster.layout import NODES
from harness.cluster import COMMAND, STORE, Cluster, run
from harness.http import request
from harness.verification import settled_counts
from harness.waiting import wait_for
from tests.support.say import Say
from webhook.store.audit import stored

MODES = {
    "steady": ("-var", "mode=steady", "-var", "rate=200", "-var", "seconds=10"),
    "burst": ("-var", "seconds=8"),
}
JOB_SECONDS = 90.0
ON_THIS_MACHINE = f'eval "$({COMMAND} env)"\ncd nomad\n'


@dataclass(frozen=True)
class Finished:
    """A run of the batch job that is over."""

    allocation: str
    code: int
    sent: int
    acked: int


def last_run(cluster: Cluster) -> str:
    """The allocation that runs the job as it was last given to Nomad, once there is one."""

    def of_its_version(client: Any) -> list[str]:
        version = client.job.get_job("tgibf")["Version"]
        allocations = client.job.get_allocations("tgibf")
        return [one["ID"] for one in allocations if one["JobVersion"] == version]

    (allocation,) = wait_for(lambda: cluster.ask(of_its_version), "the run's allocation")
    return str(allocation)


def finished(cluster: Cluster, run_: str) -> Finished:
    """That run, once it is over; its figures are those that it has logged."""

    def ended() -> dict[str, Any] | None:
        found = cluster.ask(lambda client: client.allocation.get_allocation(run_))
        return found if found["ClientStatus"] in {"complete", "failed"} else None

    allocation = wait_for(ended, "the end of the run", JOB_SECONDS, 0.5)
    assert allocation is not None
    events = allocation["TaskStates"]["tgibf"]["Events"]
    (code,) = (event["ExitCode"] for event in events if event["Type"] == "Terminated")
    log = cluster.nomad("alloc", "logs", run_).stdout
    return Finished(run_, code, figure(log, "sent"), figure(log, "acked"))


def figure(log: str, name: str) -> int:
    """A line `name   12,345 ...` of the generator's summary."""
    match = re.search(rf"^{name}\s+([\d,]+)", log, re.MULTILINE)
    assert match is not None, log
    return int(match[1].replace(",", ""))


def test_it_runs_each_time_it_is_run(cluster: Cluster, say: Say) -> None:
    """Result: it ends well; what it was acknowledged is stored and counted, and nothing else."""
    before = len(stored(STORE))
    runs = []
    for options in MODES.values():
        cluster.command("run", *options, "tgibf")
        runs.append(finished(cluster, last_run(cluster)))
    sent, acked = sum(one.sent for one in runs), sum(one.acked for one in runs)
    say(f"job tgibf, run in each mode: {sent} sent, {acked} acknowledged")
    assert len({one.allocation for one in runs}) == 2
    for one in runs:
        assert one.code == 0, one
        assert one.sent == one.acked >= 1000, one
    assert len(stored(STORE)) - before == acked
    settled_counts(cluster.everywhere(), STORE)


@pytest.mark.parametrize(
    ("shell", "typed", "count"),
    [([str(COMMAND), "shell", "node-1"], "", 5), (["bash"], ON_THIS_MACHINE, 2)],
    ids=["on-a-node", "on-this-machine"],
)
def test_the_commands_work_as_they_are_typed(
    cluster: Cluster, shell: list[str], typed: str, count: int
) -> None:
    before = len(stored(STORE))

    def type_in(line: str) -> None:
        run(shell, typed=f"{typed}set -e\n{line}\n")

    # 1. A run, in the words of the README, which is told to stop after its first burst.
    type_in("nomad job run tgibf.nomad")
    run_ = last_run(cluster)
    progress = ("alloc", "logs", "-stderr", run_)
    wait_for(
        lambda: "burst 1: 1,000" in cluster.nomad(*progress, code=None).stdout, "a burst", 60, 0.5
    )
    type_in("nomad job stop tgibf")
    ended = finished(cluster, run_)
    assert ended.code == 0
    assert len(stored(STORE)) - before == ended.acked == ended.sent >= 1000

    # 2. The webhook's count.
    type_in(f"nomad job scale webhook {count}")
    cluster.await_passing(count)
    settled_counts(cluster.everywhere(), STORE)


def test_who_is_alive_is_the_same_everywhere(cluster: Cluster) -> None:
    """`GET /allocations`: at each allocation and at every front door, what Consul has."""
    cluster.scale(3)
    expected = {(one.node, one.address) for one in cluster.passing()}
    assert {node for node, _ in expected} == {node.name for node in NODES}
    for url in cluster.everywhere():
        # A list is up to a second old.
        wait_for(partial(shows, url, expected), f"the list at {url}")
        rows = listed(url)
        assert len({row["id"] for row in rows}) == len(rows)
        assert sum(row["this"] for row in rows) == 1
        assert all(row["events_per_second"] is not None for row in rows)


def listed(url: str) -> list[dict[str, Any]]:
    """What the page has of each allocation."""
    return list(request("GET", f"{url}/allocations").json["allocations"])


def shows(url: str, expected: set[tuple[str, str]]) -> bool:
    """Whether these, by node and address, are in the list."""
    return {(row["node"], row["address"]) for row in listed(url)} == expected
