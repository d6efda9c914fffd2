"""scripts/loadtest on the cluster, with scaling on the way."""

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from harness.cluster import Cluster
from tests.support.browser import Witness
from tests.support.say import Say
from tests.support.scripts import figure, script


def test_a_load_test_scales_on_the_way_and_is_valid(
    cluster: Cluster, tmp_path: Path, page: Page, witness: Witness, say: Say
) -> None:
    cluster.scale(2)
    directory = tmp_path / "report"
    options = ["--target", "cluster", "--seconds", "45", "--scale", "10:3,30:1"]
    load = ["--bursts", "--burst-size", "50", "--rate", "50", "--keep-alive"]
    ended = script("loadtest", *options, *load, "--report", directory, seconds=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    say(f"{figure(ended.stdout, 'attempted')} attempted, {ended.stdout.splitlines()[-1]}")

    record = json.loads((directory / "report.json").read_text())
    assert [mark["text"] for mark in record["marks"]] == ["scale to 3", "scale to 1"]
    passing = {look.get("passing") for look in record["samples"]["allocations"]}
    assert {1, 2, 3} <= passing
    assert cluster.count() == 2  # as before
    ledger, counts = record["verdict"]["ledger"], record["verdict"]["counts"]
    assert ledger["acknowledged"] > 1000
    assert counts["exact"]
    assert len(counts["final"]) == 3, "one at each door"
    cpu = json.loads((directory / "summary.json").read_text())["cpu_us_per_event"]
    assert cpu["Cassandra"] > 0
    assert cpu["Fabio"] > 0

    page.goto((directory / "index.html").as_uri())
    expect(page.locator("#verdict")).to_have_text("valid")
    expect(page.locator("#chart-allocations svg")).to_contain_text("scale to 3")
    expect(page.locator("#conditions")).to_contain_text("cassandra://")
    assert page.locator("#absent").count() == 0
    assert witness.complaints == []
