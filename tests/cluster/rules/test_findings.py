"""What `scripts/cluster status` finds wrong, from what the parts say."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.autoscaling.view import Autoscaler
from cluster.copies import Copies
from cluster.deployments import Deployment
from cluster.findings import Facts, Placed, findings, urgent
from cluster.health import Health, Instance
from cluster.room import Resources, Room
from cluster.spreading import uneven
from cluster.up import sizing

NAMES = ["node-1", "node-2", "node-3"]
ADDRESSES = {f"node-{n}": f"192.168.56.1{n}:20000" for n in (1, 2, 3)}


def well() -> tuple[Health, Facts]:
    """A cluster with nothing wrong, and an allocation on each node."""
    services = [
        Instance(name, at, passing=True, tags=frozenset()) for name, at in ADDRESSES.items()
    ]
    instances = [
        {"node": name, "address": at, "probe": "ready", "used": True}
        for name, at in ADDRESSES.items()
    ]
    views: dict[str, Any] = {
        name: {"nodes": {n: True for n in NAMES if n != name}, "instances": instances}
        for name in NAMES
    }
    return Health(services={"webhook": services}), Facts(
        views=views,
        copies={name: Copies(3, 3) for name in NAMES},
        jobs={"fabio": "running", "webhook": "running"},
        count=3,
        placed=[Placed(name, at) for name, at in ADDRESSES.items()],
    )


def found(health: Health, facts: Facts, running: list[str] = NAMES) -> str:
    return "\n".join(findings(health, facts, running))


def test_nothing_is_wrong() -> None:
    assert found(*well()) == ""


def test_two_nodes_that_do_not_reach_each_other_are_named_once() -> None:
    health, facts = well()
    for one, other in (("node-1", "node-3"), ("node-3", "node-1")):
        facts.views[one] = {**facts.views[one], "nodes": {other: False}}
    assert found(health, facts) == "node-1 and node-3 don't reach each other"


def test_what_consul_lists_and_nomad_does_not_run_is_stale() -> None:
    health, facts = well()
    health.services["webhook"].append(Instance("node-2", "192.168.56.12:9", True, frozenset()))
    assert "a webhook at 192.168.56.12:9 on node-2, which Nomad does not run" in found(
        health, facts
    )


def test_what_nomad_runs_and_consul_does_not_list() -> None:
    health, facts = well()
    health.services["webhook"].pop()
    assert "at 192.168.56.13:20000 on node-3, which Consul does not list" in found(health, facts)


@pytest.mark.parametrize("job", ["fabio", "webhook"])
def test_a_job_that_is_stopped(job: str) -> None:
    health, facts = well()
    del facts.jobs[job]
    assert f"the job {job} does not run: scripts/cluster run {job}" in found(health, facts)


def test_a_drained_node_and_one_that_is_down() -> None:
    health, facts = well()
    facts.drained["node-2"] = "it is drained"
    assert "node-2 takes no allocations (it is drained)" in found(health, facts)
    assert "node-3 does not run" in found(health, facts, ["node-1", "node-2"])


def test_copies_that_are_too_few_or_out_of_reach() -> None:
    health, facts = well()
    facts.copies["node-2"] = Copies(3, 1)
    assert "node-2's Cassandra reaches 1 of 3 copies" in found(health, facts)
    facts.copies = {name: Copies(1, 1) for name in NAMES}
    assert "events have 1 copies and not 3" in found(health, facts)


def test_allocations_that_are_not_spread_or_not_there() -> None:
    health, facts = well()
    facts.placed = [Placed("node-1", at) for at in ADDRESSES.values()]
    assert "node-1 has 3 allocations of the webhook, node-2 0: scripts/cluster spread" in found(
        health, facts
    )
    facts.count = 5
    assert "3 allocations of the webhook run, of 5" in found(health, facts)


def room(more: int) -> Room:
    """For so many more on node-1, beside one on each."""
    each = Resources(160, 200, 300)
    free = Resources(160 * more + 100, 10_000, 10_000)
    return Room(each, {"node-1": free}, dict.fromkeys(NAMES, 1))


def test_allocations_that_have_no_room() -> None:
    health, facts = well()
    facts.count, facts.room = 8, room(2)
    assert "3 allocations of the webhook run, of 8: there is no room for more, 5 fit (node-1 3" in (
        found(health, facts)
    )
    facts.count = 5
    assert found(health, facts) == "3 allocations of the webhook run, of 5"


def test_a_change_that_nomad_gave_up_or_never_will() -> None:
    health, facts = well()
    facts.room = room(1)
    last = Deployment("6240c18f", "successful", "completed", 6, 3, created_at=0.0)
    facts.deployment = last
    assert found(health, facts) == ""
    facts.deployment = replace(last, status="failed", why="Failed due to progress deadline")
    assert "(Failed due to progress deadline): until the next one it places nothing" in found(
        health, facts
    )
    assert found(health, facts).endswith("scripts/cluster scale 3")
    facts.deployment = replace(last, status="running", placed=0)
    assert "no room for its first allocation" in found(health, facts)
    facts.deployment = replace(last, status="running", placed=1)
    assert found(health, facts) == ""


def test_one_that_nobody_gets_a_yes_from() -> None:
    health, facts = well()
    dead = {"node": "node-1", "address": ADDRESSES["node-1"], "probe": "absent", "used": False}
    for name in NAMES:
        facts.views[name] = {**facts.views[name], "instances": [dead]}
    assert "no node gets a yes from the webhook at 192.168.56.11:20000 on node-1: absent" in found(
        health, facts
    )


def test_when_one_can_be_moved() -> None:
    assert uneven({"a": 2, "b": 1, "c": 1}) is None
    assert uneven({"a": 3, "b": 1, "c": 0}) == ("a", "c")
    assert uneven({}) is None


def test_a_cluster_may_be_without_an_autoscaler_but_not_with_half_of_it() -> None:
    health, facts = well()
    facts.jobs["autoscaler"] = "running"
    (line,) = findings(health, facts, NAMES)
    assert line.endswith("so the count stays as it is: scripts/cluster run prometheus")
    assert urgent([line]) == []


def test_an_autoscaler_that_does_not_evaluate_is_named() -> None:
    health, facts = well()
    facts.jobs |= {"autoscaler": "running", "prometheus": "running"}
    assert "the autoscaler does not answer, so the count stays" in found(health, facts)
    facts.autoscaler = Autoscaler(None, "no value", 3.0)
    assert "autoscaler holds the count: no value, so the count stays" in found(health, facts)
    facts.autoscaler = Autoscaler(4, "", 3.0)
    assert found(health, facts) == ""


def test_status_says_what_is_wanted_and_what_became_of_it() -> None:
    _, facts = well()
    facts.room = Room(
        Resources(160, 200, 300), {"node-1": Resources(330, 900, 9000)}, {"node-1": 3}
    )
    assert sizing(facts).startswith("webhook: desired 3, running 3, room 5 (node-1 5;")
    assert sizing(facts).endswith("; no autoscaler")
    facts.autoscaler = Autoscaler(4, "", 3.0)
    assert sizing(facts).startswith("webhook: wanted 4, desired 3, running 3, room 5 (")
    assert sizing(facts).endswith("; autoscaler evaluates")


def test_certificates_that_end_soon_are_told_and_no_fault() -> None:
    health, facts = well()
    assert "certificates" not in found(health, replace(facts, days_left=31))
    told = found(health, replace(facts, days_left=29))
    assert told == "the agents' certificates end in 29 days: scripts/cluster rotate certificates"
    assert urgent([told]) == []


def test_what_a_rotation_has_left_is_told_and_no_fault() -> None:
    health, facts = well()
    told = found(health, replace(facts, left={"Cassandra has the role webhook": "passwords"}))
    assert told == (
        "Cassandra has the role webhook of a rotation that was cut off: "
        "scripts/cluster rotate passwords"
    )
    assert urgent([told]) == []
