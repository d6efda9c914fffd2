"""What sizes the webhook leaves room for it, and the files agree on what they share."""

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

from cluster.layout import AUTOSCALER_PORT, GATE_PORT, NODES, NOMAD_PORT, SCALING, VIEW_PORT
from cluster.room import room_of
from tests.cluster.rules.test_room import GROUP, allocation, node
from tests.cluster.rules.test_webhook_job import block
from tools.root import ROOT

RULES = (ROOT / "prometheus" / "rules" / "webhook.yml").read_text()


def job(name: str) -> Any:
    return block(hcl2.loads((ROOT / "nomad" / f"{name}.nomad").read_text()), "job", name)


def given(name: str, what: str) -> int:
    """What a job has to itself: `memory` in MB, `cpu` in MHz."""
    return sum(
        one["resources"][0][what]
        for group in job(name)["group"]
        for task in next(iter(group.values()))["task"]
        for one in task.values()
    )


def test_on_three_nodes_of_2_gb_five_fit_beside_what_sizes_them() -> None:
    names = [one.name for one in NODES]
    fabios = [allocation("fabio", name, given("fabio", "memory")) for name in names]
    # Nomad packs: what is placed first is side by side.
    sizing = [allocation(part.name, names[0], given(part.name, "memory")) for part in SCALING]
    room = room_of([node(name) for name in names], [*fabios, *sizing], GROUP)
    assert room.by_node == {"node-1": 1, "node-2": 2, "node-3": 2}


@pytest.mark.parametrize("what", ["memory", "cpu"])
def test_the_rule_s_room_is_for_what_a_webhook_has_to_itself(what: str) -> None:
    each = re.findall(rf"nomad_client_unallocated_{what}\{{.*?\}}, 0\) / (\d+)\)", RULES)
    assert {*map(int, each)} == {given("webhook", what)}


def test_the_query_is_a_recorded_rule() -> None:
    policy = block(job("webhook"), "group", "webhook")["scaling"][0]["policy"][0]
    query = block(policy, "check", "wanted")["query"].strip('"')
    assert f"record: {query}\n" in RULES


@pytest.mark.parametrize(
    ("file", "ports"),
    [
        ("nomad/autoscaler.nomad", (AUTOSCALER_PORT, GATE_PORT, NOMAD_PORT)),
        ("prometheus/prometheus.yml", (NOMAD_PORT, VIEW_PORT)),
    ],
)
def test_ports_are_those_of_the_layout(file: str, ports: tuple[int, ...]) -> None:
    text = Path(ROOT / file).read_text()
    assert all(str(port) in text for port in ports)
    if file.endswith(".yml"):
        assert all(f"{one.address}:{NOMAD_PORT}" in text for one in NODES)
