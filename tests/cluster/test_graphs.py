"""Prometheus' console page in a real browser: of a receiver, and of a cluster under load.

The picture in the documents is the cluster's:
scripts/test tests/cluster/test_graphs.py --long --screenshots
"""

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from artifacts.binaries import provide_binary
from cluster.layout import AUTOSCALER, PROMETHEUS_PORT
from harness.cluster import DOORS, Cluster
from harness.generator import Generator
from harness.http import request
from harness.waiting import wait_for
from tests.cluster.sizing import (
    DOWN_SECONDS,
    PROMETHEUS_PROCESS,
    await_evaluations,
    place_of,
)
from tests.cluster.test_room import fits
from tests.support.browser import WAIT_MS, Witness
from tests.support.checked_receiver import Receiver
from tools.root import ROOT

__all__ = ["fits"]

FOLDER = ROOT / "prometheus"
START_SECONDS = 60.0
STEPS = "0:15,60:60,150:105,270:15"
"""Events/s from a second of the load on: for 2 allocations, 4, as many as fit, and 2 again."""
LOAD_SECONDS = 480
TITLES = ["Events", "Allocations", "Not stored", "Time to answer", "Events held", "Lag of the"]


@pytest.fixture
def prometheus(receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    """The address of one with the cluster's rules and console, which looks at one receiver."""
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FOLDER / "rules" / "*.yml")],
        "scrape_configs": [
            {
                "job_name": "webhook",
                "static_configs": [{"targets": [f"127.0.0.1:{receiver.port}"]}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        str(provide_binary("prometheus")),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        f"--web.console.templates={FOLDER / 'consoles'}",
    ]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(lambda: answers(address), "Prometheus", START_SECONDS, 0.1)
            yield f"http://{address}"
        finally:
            process.kill()


def answers(address: str) -> bool:
    try:
        return request("GET", f"http://{address}/-/ready").status == 200
    except OSError:
        return False


def test_it_draws_six_graphs(
    receiver: Receiver, prometheus: str, page: Page, witness: Witness, tmp_path: Path
) -> None:
    with Generator([receiver.url], tmp_path / "ledger", "--keep-alive", "--rate", "100") as load:
        load.acknowledge(500)
        page.goto(f"{prometheus}/consoles/webhook.html")
        for title in TITLES:
            section = page.locator("section", has_text=re.compile(f"^{title}"))
            # A level line has no height, so to Playwright it is not visible.
            line = section.locator("polyline").first
            expect(line).to_have_attribute("points", re.compile(r"\d,\d"), timeout=2 * WAIT_MS)
        offered = page.locator(".key", has_text=re.compile(r"^offered"))
        expect(offered).to_have_text(re.compile(r"^offered \d\d"), timeout=2 * WAIT_MS)
        load.finish(interrupt=True)
    assert witness.complaints == []
    assert page.locator("section").count() == len(TITLES)
    # Without a Prometheus it says so, and what was drawn stays.
    page.locator("nav").get_by_text("1h").click()
    expect(page.locator("polyline").first).to_be_attached()
    page.route("**/api/**", lambda route: route.abort())
    expect(page.get_by_role("status")).to_contain_text("does not answer", timeout=WAIT_MS)
    expect(page.locator("polyline").first).to_be_attached()


@pytest.mark.usefixtures("at_length", "by_hand", "fits", "quick")
def test_a_cluster_whose_count_follows_its_load(
    sized: Cluster, page: Page, witness: Witness, tmp_path: Path, shoot: Callable[[str], None]
) -> None:
    """On nodes as full as those of 2 GB. By rules that look back for 1 minute, so that some minutes
    have all of it.
    """
    sized.command("run", AUTOSCALER)
    await_evaluations()
    seconds = ["--seconds", str(LOAD_SECONDS)]
    with Generator(DOORS, tmp_path / "ledger", "--step", STEPS, *seconds) as load:
        wait_for(lambda: len(sized.passing()) >= 4, "4 allocations", LOAD_SECONDS, 1)
        high = len(sized.passing())
        wait_for(lambda: load.process.poll() is not None, "the end", LOAD_SECONDS, 1)
        load.finish()
    wait_for(lambda: sized.count() < high, "fewer", DOWN_SECONDS, 1)
    node, _ = place_of(PROMETHEUS_PROCESS)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size({"width": 1280, "height": 980})  # for all six
    page.goto(f"{node.url(PROMETHEUS_PORT)}/consoles/webhook.html")
    allocations = page.locator("section", has_text=re.compile("^Allocations"))
    for name in ("wanted", "running", "room for"):
        expect(allocations.locator(".key", has_text=re.compile(f"^{name} \\d"))).to_be_visible()
    for section in page.locator("section").all():
        expect(section.locator("svg")).to_be_visible(timeout=2 * WAIT_MS)
    shoot("graphs")
    assert witness.complaints == []
