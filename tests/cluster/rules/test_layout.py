"""The table of the cluster's parts, against the files that it is about."""

import re

import pytest

from artifacts.binaries import BINARIES
from cluster.layout import NETWORK, NODES, PARTS, SHOWN, STARTED, Part
from cluster.linux import control_groups
from cluster.nodes.namespaces import UNITS
from tools import OURS
from tools.root import ROOT

ADDRESSES = [node.address for node in NODES]


def test_names_and_ports_are_each_one_part_s() -> None:
    assert len({part.name for part in PARTS}) == len({part.port for part in PARTS}) == len(PARTS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_program_is_one_that_can_be_had(part: Part) -> None:
    assert not part.program or part.program in BINARIES


@pytest.mark.parametrize("part", STARTED, ids=lambda part: part.name)
def test_what_up_starts_is_a_job_with_a_task_of_its_name(part: Part) -> None:
    text = (ROOT / "nomad" / f"{part.name}.nomad").read_text()
    assert f'job "{part.name}"' in text
    assert f'task "{part.name}"' in text
    assert str(part.port) in text


def test_what_is_no_job_has_a_unit() -> None:
    units = {unit.rpartition("/")[2] for unit in UNITS}
    assert units == {part.name for part in SHOWN if not part.started_by_up}
    assert all((ROOT / f"{unit}.service").exists() for unit in UNITS)


def test_a_proxy_is_not_asked_for_any_node() -> None:
    assert {*ADDRESSES} <= {*OURS.split(",")}


@pytest.mark.parametrize(
    "file",
    ["consul/consul.hcl", "nomad/nomad.hcl", "nomad/webhook.nomad", "cassandra/cassandra.yaml"],
)
def test_every_file_has_the_same_addresses(file: str) -> None:
    network = NETWORK.rpartition(".")[0]
    assert sorted({*re.findall(rf"{network}\.\d+\b", (ROOT / file).read_text())}) == ADDRESSES


@pytest.mark.parametrize(
    "file",
    [
        *(f"{unit}.service" for unit in UNITS),
        *("consul/cassandra.hcl", "nomad/fabio.nomad", "node/provision", "Vagrantfile"),
    ],
)
def test_what_a_node_s_files_run_of_ours_is_there(file: str) -> None:
    text = (ROOT / file).read_text()
    for folder, path in re.findall(r"(?:/opt/teracompra|\$KIT)\"?/(node|scripts)/([\w/.-]+)", text):
        assert folder == "node", path
        assert path == "sysctl.conf" or (ROOT / "node" / path).stat().st_mode & 0o111, path


def test_control_groups_are_named_after_a_part() -> None:
    assert {name.partition(".")[0] for name in control_groups.PARENTS} <= {p.name for p in PARTS}
