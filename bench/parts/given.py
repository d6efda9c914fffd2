"""What the jobs set aside for each part, and nodes for what is no job, as Nomad has it."""

from collections.abc import Iterable, Mapping
from typing import Any

from bench.parts.looks import BESIDES, KINDS
from bench.parts.usage import Given
from cluster.health import ask_nomad


def ask_given() -> tuple[dict[str, Given], float]:
    """What is set aside, by part, and how many MHz a core has; nothing where no Nomad answers."""
    return ask_nomad(_question) or ({}, 0.0)


def given_of(jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, Given]:
    """From jobs as Nomad's API has them, by name."""
    tasks = {
        (name, task["Name"]): task["Resources"]
        for name, job in jobs.items()
        for group in job["TaskGroups"]
        for task in group["Tasks"]
    }
    return {
        kind.part: Given(
            resources["MemoryMB"],
            max(resources["MemoryMB"], resources.get("MemoryMaxMB") or 0),
            resources["CPU"],
        )
        for kind in KINDS
        if (resources := tasks.get((kind.job, kind.task)))
    }


def core_mhz_of(nodes: Iterable[Mapping[str, Any]]) -> float:
    """Of the first node, from nodes with their resources; 0 if they don't tell."""
    for node in nodes:
        cpu = node["NodeResources"]["Cpu"]
        if cpu.get("TotalCpuCores"):
            return float(cpu["CpuShares"]) / float(cpu["TotalCpuCores"])
    return 0.0


def _question(client: Any) -> tuple[dict[str, Given], float]:
    here = {one["ID"] for one in client.jobs.get_jobs() if not one["Stop"]}
    names = {kind.job for kind in KINDS} & here
    nodes = client.nodes.get_nodes(resources=True)
    given = given_of({name: client.job.get_job(name) for name in names})
    reserved = nodes[0]["ReservedResources"]["Memory"]["MemoryMB"]
    return {**given, BESIDES: Given(reserved, reserved, 0)}, core_mhz_of(nodes)
