"""The table of allocations in a real browser: receivers and a Consul, nothing made up."""

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from harness.consul import NODE, Consul
from tests.browser.conftest import WAIT_MS
from tests.browser.drawing import FONTS, broken, draw_in, sticking_out
from tests.support.answering import vector
from tests.support.checked_receiver import Receiver
from tests.support.gates import GATE, gate_in

expect.set_options(timeout=WAIT_MS)

pytestmark = pytest.mark.consul

POSITIVE = re.compile("^[1-9]")


def test_shows_who_is_alive_and_how_fast(tmp_path: Path, page: Page) -> None:
    with (
        Consul(tmp_path) as consul,
        Receiver(
            tmp_path / "a.db", consul=consul.url, allocation="0-8f2c1a07", expect_clients=True
        ) as shown,
        Receiver(tmp_path / "b.db", allocation="1-b41e99d3") as other,
    ):
        table = page.get_by_role("table", name="Allocations")
        rows = table.get_by_role("row")
        here, there = rows.nth(1), rows.nth(2)

        # 1. Consul knows of nobody: there is no table.
        with page.expect_response("**/allocations"):
            page.goto(shown.url)
        expect(page.locator("#status")).to_have_text("live")
        expect(table).to_be_hidden()

        # 2. It knows of two: each has a row, and the one that answers is marked.
        consul.register("webhook-a", shown.port)
        consul.register("webhook-b", other.port, checked=False)
        expect(table.get_by_role("columnheader")).to_have_text(
            ["Id", "Node", "Address", "Events/s"]
        )
        expect(table.get_by_role("rowheader")).to_have_text(["0-8f2c1a07 this one", "1-b41e99d3"])
        expect(here.get_by_role("cell")).to_have_text([NODE, f"127.0.0.1:{shown.port}", "0"])
        expect(there.get_by_role("cell")).to_have_text([NODE, f"127.0.0.1:{other.port}", "0"])

        # 3. One receives, and only its row shows it.
        other.post_many(1000)
        expect(there.get_by_role("cell").last).to_have_text(POSITIVE)
        expect(here.get_by_role("cell").last).to_have_text("0")

        # 4. It hangs: no rate, and the figures beside it go on.
        os.kill(other.pid, signal.SIGSTOP)
        expect(there.get_by_role("cell").last).to_have_text("\N{EN DASH}")
        shown.post_many(12)
        expect(page.locator("#count")).to_have_text("12")
        os.kill(other.pid, signal.SIGCONT)
        expect(there.get_by_role("cell").last).to_have_text("0")

        # 5. A narrow screen has room for it.
        for font in FONTS:
            draw_in(page, font)
            for width in (320, 360):
                page.set_viewport_size({"width": width, "height": 640})
                assert sticking_out(page) == []
            assert broken(page, "#allocations") == []
        page.set_viewport_size({"width": 1280, "height": 800})

        # 6. Consul dies: the table goes, the page lives.
        consul.stop()
        expect(table).to_be_hidden()
        shown.post_many(3)
        expect(page.locator("#count")).to_have_text("15")

        # Result: never an error on the status line.
        expect(page.locator("#status")).to_have_text("live")


def test_shows_how_many_are_wanted_while_somebody_says(tmp_path: Path, page: Page) -> None:
    with (
        Consul(tmp_path) as consul,
        Receiver(
            tmp_path / "a.db", consul=consul.url, autoscaler=GATE, expect_clients=True
        ) as shown,
    ):
        consul.register("webhook-a", shown.port)
        wanted = page.locator("#wanted")

        # 1. Nobody says how many.
        page.goto(shown.url)
        expect(page.get_by_role("table", name="Allocations")).to_be_visible()
        expect(wanted).to_be_hidden()

        # 2. An autoscaler does; a narrow screen has room for it.
        with gate_in(consul) as gate:
            gate.evaluate(vector("4"))
            expect(wanted).to_have_text("4 wanted, 1 running")
            page.set_viewport_size({"width": 320, "height": 640})
            assert sticking_out(page) == []
            # 3. It holds the count.
            gate.evaluate(vector("NaN"))
            expect(wanted).to_be_hidden()
        expect(page.locator("#status")).to_have_text("live")
