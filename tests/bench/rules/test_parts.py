"""What each part uses, against what it has."""

import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.parts.given import core_mhz_of, given_of
from bench.parts.looks import BESIDES, KINDS, kind_of, unit_of, without_others
from bench.parts.usage import MB, Given, Look, Unit, judgement, percentile, show, usage_of

WEBHOOK = Given(160, 160, 200)


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_so_many_don_t_exceed_it(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) * (1 - 1e-9)
    assert sum(one < found for one in values) <= share * len(values)


def test_percentiles_of_a_hundred() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_part_is_all_of_its_units_over_all_looks() -> None:
    looks = [
        Look(0.0, {("webhook", "1"): Unit(10 * MB, 12 * MB, 1.0)}),
        Look(
            2.0,
            {
                ("webhook", "1"): Unit(20 * MB, 30 * MB, 1.5),
                ("webhook", "2"): Unit(5 * MB, 5 * MB, 9.0),  # it had no CPU before
            },
        ),
        Look(3.0, {("webhook", "2"): Unit(6 * MB, 6 * MB, 9.1)}),
    ]
    found = usage_of(looks)["webhook"]
    assert found.names == {"1", "2"}
    assert [one // MB for one in found.memory] == [10, 20, 5, 6]
    assert found.peak == 30 * MB
    assert found.cores == pytest.approx([0.25, 0.1])


def test_the_table_has_what_is_set_aside_first() -> None:
    looks = [
        Look(at, {("webhook", "1"): Unit(40 * MB, 130 * MB, at / 10), ("TGIBF", "9"): unit(at)})
        for at in (0.0, 1.0)
    ]
    head, _, *lines = show(usage_of(looks), {"Fabio": WEBHOOK, "webhook": WEBHOOK}, 2000).split(
        "\n"
    )
    assert head.startswith("| part | of them | memory set aside, MB | p50 |")
    assert lines == [
        "| webhook | 1 | 160 | 40 | 40 | 130 | 200 | 200 | 200 | 200 | right |",
        "| TGIBF | 1 | - | 7 | 7 | 7 | - | 0 | 0 | 0 | not set aside |",
    ]


def unit(at: float) -> Unit:
    return Unit(7 * MB, 7 * MB, at * 0)


@pytest.mark.parametrize(
    ("largest", "given_", "words"),
    [
        (130, WEBHOOK, "right"),
        (79, WEBHOOK, "more than twice the peak"),
        (161, WEBHOOK, "too little"),
        (300, Given(96, 512, 200), "less than the peak, which is allowed for"),
        (513, Given(96, 512, 200), "too little"),
        (5, None, "not set aside"),
    ],
)
def test_judgements(largest: float, given_: Given | None, words: str) -> None:
    assert judgement(largest, given_) == words


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("/usr/bin/python3 -m webhook", "webhook"),
        ("/opt/teracompra/bin/fabio -proxy.addr=:9999", "Fabio"),
        (
            "/usr/bin/python3 /opt/teracompra/node/bin/door -- /opt/teracompra/bin/fabio",
            "Fabio's door",
        ),
        ("/usr/bin/python3 /opt/teracompra/node/bin/routes", "Fabio's routes"),
        ("/opt/teracompra/bin/nomad-autoscaler agent", "autoscaler"),
        ("/opt/teracompra/bin/nomad agent -config", "Nomad"),
        ("/opt/teracompra/bin/nomad executor {}", "Nomad"),
        ("java org.apache.cassandra.service.CassandraDaemon", "Cassandra"),
        ("unshare --net /opt/teracompra/bin/nomad", None),
        ("sleep infinity", None),
    ],
)
def test_kinds(line: str, part: str | None) -> None:
    found = kind_of(line)
    assert (found.part if found else None) == part


def test_this_process_is_a_unit() -> None:
    folder = Path(f"/proc/{os.getpid()}")
    one = unit_of((folder / "status").read_text(), (folder / "stat").read_text())
    assert 0 < one.memory <= one.peak
    assert one.cpu_seconds > 0
    with pytest.raises(LookupError):
        unit_of("Name:\tkthreadd\n", (folder / "stat").read_text())


def test_of_what_processes_share_each_has_its_part() -> None:
    """Two of the same program have most of their memory, which is its libraries, together."""
    with ExitStack() as stack:
        command = [sys.executable, "-c", "print(flush=True); input()"]
        start = partial(subprocess.Popen, command, stdin=-1, stdout=-1)
        both = [stack.enter_context(start()) for _ in range(2)]
        for process in both:
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()  # it has all of its libraries
        folder = Path(f"/proc/{both[0].pid}")
        one = unit_of((folder / "status").read_text(), (folder / "stat").read_text())
        own = without_others(one, (folder / "smaps_rollup").read_text())
        assert 0 < own.memory < one.memory
        assert own.memory <= own.peak < one.peak
        assert own.cpu_seconds == one.cpu_seconds
    with pytest.raises(LookupError):
        without_others(one, "")


def test_what_is_set_aside_is_the_jobs() -> None:
    def job(**tasks: Any) -> dict[str, Any]:
        return {"TaskGroups": [{"Tasks": [{"Name": n, "Resources": r} for n, r in tasks.items()]}]}

    fabio = {"MemoryMB": 96, "MemoryMaxMB": 512, "CPU": 200}
    jobs = {
        "webhook": job(webhook={"MemoryMB": 160, "MemoryMaxMB": 0, "CPU": 200}),
        "fabio": job(fabio=fabio, routes={"MemoryMB": 64, "CPU": 50}),
    }
    assert given_of(jobs) == {
        "webhook": WEBHOOK,
        "Fabio": Given(96, 512, 200),
        "Fabio's door": Given(96, 512, 200),  # of the same task
        "Fabio's routes": Given(64, 64, 50),
    }
    assert BESIDES not in {kind.part for kind in KINDS}


def test_a_core_s_clock_is_the_first_node_s() -> None:
    node = {"NodeResources": {"Cpu": {"CpuShares": 5000, "TotalCpuCores": 2}}}
    assert core_mhz_of([{"NodeResources": {"Cpu": {"CpuShares": 1}}}, node]) == 2500
    assert core_mhz_of([]) == 0
