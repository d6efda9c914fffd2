"""Nodes that are nearly full: what has no room is refused or given up, and nothing stays locked."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.deployments import latest
from cluster.layout import NODES
from cluster.room import Room, room_for_webhook
from harness.cluster import Cluster
from harness.waiting import wait_for
from tests.support.say import Say

VERSION = "0.1.2-test"
GIVEN_UP_SECONDS = 90.0
FILLER = """
job "filler" {
  %s
}
"""
GROUP = """
  group "%s" {
    constraint {
      attribute = "${node.unique.name}"
      value     = "%s"
    }
    volume "usr" {
      type      = "host"
      source    = "usr"
      read_only = true
    }
    task "filler" {
      driver = "exec"
      config {
        command = "/usr/bin/sleep"
        args    = ["3600"]
      }
      volume_mount {
        volume      = "usr"
        destination = "/usr"
        read_only   = true
      }
      resources {
        cpu    = 50
        memory = %d
      }
    }
  }
"""


def room(cluster: Cluster) -> Room:
    found = cluster.ask(room_for_webhook)
    assert isinstance(found, Room)
    return found


@pytest.fixture
def fits(cluster: Cluster, tmp_path: Path) -> Iterator[int]:
    """Three allocations on nodes that something else fills: how many there is room for."""
    cluster.command("scale", "3")
    empty = room(cluster)
    groups = [
        GROUP % (node.name, node.name, empty.free[node.name].memory - 3 * empty.need.memory // 2)
        for node in NODES
    ]
    (tmp_path / "filler.nomad").write_text(FILLER % "".join(groups))
    cluster.nomad("job", "run", "-detach", str(tmp_path / "filler.nomad"))
    try:
        wait_for(lambda: room(cluster).more == len(NODES), "room for one more on each node", 60, 1)
        yield room(cluster).fits
    finally:
        cluster.nomad("job", "stop", "-purge", "-detach", "filler")
        cluster.command("scale", "3")


def failed(cluster: Cluster) -> bool:
    last: Any = cluster.ask(lambda client: latest(client, "webhook"))
    return bool(last.failed)


def test_more_than_fits_is_refused_and_by_hand_is_given_up(
    cluster: Cluster, fits: int, say: Say
) -> None:
    # 1. By the command.
    refused = cluster.command("scale", str(fits + 1), code=1)
    assert f"there is no room for {fits + 1} allocations" in refused.stderr
    assert cluster.count() == 3
    # 2. By hand, and it ends by itself.
    cluster.nomad("job", "scale", "-detach", "webhook", str(fits + 1))
    began = time.monotonic()
    wait_for(lambda: failed(cluster), "Nomad's giving up", GIVEN_UP_SECONDS, 1)
    say(f"{fits + 1} allocations where {fits} fit: given up after {time.monotonic() - began:.0f} s")
    shown = cluster.command("status", code=1).stdout
    assert f"{fits} allocations of the webhook run, of {fits + 1}: there is no room for more" in (
        shown
    )
    assert f"scripts/cluster scale {fits}" in shown
    # Result: what fits can be had, and fewer.
    for count in (fits, 2):
        cluster.command("scale", str(count))
        assert len(cluster.passing()) == cluster.count() == count


@pytest.mark.usefixtures("at_length")
def test_a_release_without_room_is_given_up(cluster: Cluster, fits: int) -> None:
    cluster.command("scale", str(fits))
    before = {one.address: one.tags for one in cluster.passing()}
    ((tag,),) = set(before.values())
    cluster.command("release", VERSION)
    done = cluster.command("run", "-var", f"version={VERSION}", "webhook", code=1)
    assert "no room for its first allocation" in done.stderr
    assert {one.address: one.tags for one in cluster.passing()} == before
    # One fewer makes room.
    for version, count in ((VERSION, fits - 1), (tag.removeprefix("version-"), 1)):
        cluster.command("scale", str(count))
        cluster.deploy(version)
        cluster.await_passing(count)
        assert cluster.count() == count
        assert {one.tags for one in cluster.passing()} == {frozenset([f"version-{version}"])}
