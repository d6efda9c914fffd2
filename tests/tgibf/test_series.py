"""The series: a line for each second."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from time import time
from typing import Any

import pytest

from harness.waiting import wait_for
from tests.tgibf.generator import finish, start, tgibf
from tests.tgibf.peer import PROBLEM, Call, Peer, acknowledge, problem


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_its_seconds_add_up_to_the_run(tmp_path: Path) -> None:
    async def refuse_every_tenth(call: Call) -> None:
        if call.number % 10:
            await acknowledge(call)
        else:
            await call.answer(503, problem("no"), PROBLEM)
            call.hang_up()

    path = tmp_path / "series"
    began = time()
    with Peer(refuse_every_tenth) as peer:
        run = tgibf(peer.url, "--rate=200", "--seconds=2.5", "--json", f"--series={path}")

    seconds = lines(path)
    assert len(seconds) == 3
    for name in ("sent", "acked", "refused", "unknown"):
        assert sum(second[name] for second in seconds) == run.summary[name]
    errors: Counter[str] = Counter()
    for second in seconds:
        errors.update(second["errors"])
    assert errors == run.summary["errors"] == {"http 503": 50}
    assert seconds[-1]["in_flight"] == 0
    assert max(second["behind_ms"] for second in seconds) == run.summary["behind_ms"]
    assert (
        max(second["latency_ms"]["max"] for second in seconds) == (run.summary["latency_ms"]["max"])
    )
    assert {second["burst"] for second in seconds} == {None}
    times = [second["at"] for second in seconds]
    assert began < times[0] < times[1] < times[2] < time()


def test_it_can_be_followed_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "series"
    released = asyncio.Event()

    async def hold(call: Call) -> None:
        await released.wait()
        await acknowledge(call)

    with Peer(hold) as peer:
        process = start(peer.url, "--burst-size=20", "--bursts=1", f"--series={path}")
        first = wait_for(lambda: lines(path), "a line")[0]
        peer.call_soon(released.set)
        assert finish(process).code == 0

    assert (first["burst"], first["sent"], first["acked"], first["in_flight"]) == (1, 20, 0, 20)
    assert first["latency_ms"] == {"p50": None, "p99": None, "p99_9": None, "max": None}
    last = lines(path)[-1]
    assert (last["sent"], last["acked"], last["in_flight"]) == (0, 20, 0)
    assert last["latency_ms"]["p50"] >= 500


@pytest.mark.parametrize("name", ["there", "no/such/folder"])
def test_one_that_can_not_be_made_is_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").write_text("of another run\n")

    run = tgibf("http://127.0.0.1:1", f"--series={tmp_path / name}")

    assert run.code == 2
    assert "cannot write the series" in run.err
    assert (tmp_path / "there").read_text() == "of another run\n"
