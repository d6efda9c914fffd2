"""The table of the cluster's parts, against the files that it is about."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from artifacts.binaries import BINARIES
from cluster.layout import NETWORK, NODES, PARTS, SHOWN, STARTED, Part
from cluster.linux import control_groups
from cluster.nodes.namespaces import UNITS
from loadtest.watch import machine
from node import check_cql
from tools import OURS
from tools.root import ROOT
from webhook.store.cassandra import url

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
        assert (
            path in {"check_cql.py", "filter.nft", "sysctl.conf"}
            or (ROOT / "node" / path).stat().st_mode & 0o111
        ), path


FURTHER = """
from cluster import layout
row = layout.Part(
    "sizer", "Sizer", 8080, "bin/nomad-sizer", "nomad-sizer", started_by_up=True, shown=False
)
layout.PARTS += (row,)
layout.SCALING += (row,)
from cluster import cli, display, findings, health, kit, up
from loadtest.watch.machine import KINDS
assert "nomad-sizer" in kit.PROGRAMS
assert row in findings.SCALING
assert row in up.SCALING
assert "sizer" in health.SERVICES
assert "sizer" not in "".join(display.lines(health.Health(), {"node-1"}))
assert KINDS["bin/nomad-sizer"] == "Sizer"
"""


def test_a_row_is_all_that_a_job_for_all_needs() -> None:
    subprocess.run([sys.executable, "-c", FURTHER], cwd=ROOT, check=True)


def test_a_process_is_the_part_that_its_command_names_most_of(tmp_path: Path) -> None:
    process = tmp_path / "1"
    process.mkdir()
    (process / "cmdline").write_bytes(b"/opt/teracompra/bin/nomad-autoscaler\0agent\0")
    assert machine._kind(process) == "Autoscaler"  # noqa: SLF001
    (process / "cmdline").write_bytes(b"/opt/teracompra/bin/nomad\0agent\0")
    assert machine._kind(process) == "Nomad"  # noqa: SLF001


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ("nomad/*.nomad", r'variable "version" \{\s+type\s+= string\s+default\s+= "(.+?)"'),
        ("kubernetes/**/kustomization.yaml", r"name: teracompra/\w+\s+newTag: (.+)"),
    ],
)
def test_the_version_is_that_of_the_project(files: str, version: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    named = [one for file in ROOT.glob(files) for one in re.findall(version, file.read_text())]
    assert len(named) >= 2
    assert {*named} == {project}


def test_the_port_of_cassandra_is_the_same_for_those_who_import_nothing() -> None:
    (cassandra,) = (part for part in PARTS if part.name == "cassandra")
    assert cassandra.port == check_cql.PORT == url.PORT


def test_control_groups_are_named_after_a_part() -> None:
    assert {name.partition(".")[0] for name in control_groups.PARENTS} <= {p.name for p in PARTS}
