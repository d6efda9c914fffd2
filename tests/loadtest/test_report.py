"""A load test of a minute, for real, and its report in a real browser."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from harness.processes import processes_with
from tests.support.browser import Witness
from tests.support.scripts import figure, script

pytestmark = pytest.mark.browser  # all of them, so that the minute of load is run once

SECONDS = 60
WINDOW = 20  # passes twice
RATE = 100
CHARTS = ("count", "events", "latency", "errors", "receivers", "machine")
ACKNOWLEDGED_AT_LEAST = SECONDS * RATE // 2


@dataclass(frozen=True)
class Report:
    """A report's folder, and what the run printed."""

    directory: Path
    output: str

    @property
    def url(self) -> str:
        return (self.directory / "index.html").as_uri()

    @property
    def record(self) -> Any:
        return json.loads((self.directory / "report.json").read_text())

    def total(self, name: str) -> int:
        """Of the samples of all generators: sent, acked, refused or unknown."""
        load = self.record["samples"]["load"]
        return sum(second[name] for seconds in load.values() for second in seconds)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of bursts and a steady rate at once; ledgers and store are kept."""
    directory = tmp_path_factory.mktemp("loadtest") / "report"
    options = ["--seconds", str(SECONDS), "--window", str(WINDOW), "--port", "0", "--keep"]
    load = ["--bursts", "--burst-size", "100", "--rate", str(RATE), "--keep-alive"]
    ended = script("loadtest", *options, *load, "--report", directory, seconds=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Report(directory, ended.stdout)


@pytest.fixture
def copy(report: Report, tmp_path: Path) -> Report:
    """The same in a folder that may be changed."""
    directory = tmp_path / "copy"
    shutil.copytree(report.directory, directory)
    return Report(directory, report.output)


def test_it_is_valid_event_by_event_and_count_by_count(report: Report) -> None:
    assert report.output.splitlines()[-1] == "valid"
    acknowledged = figure(report.output, "acknowledged")
    assert acknowledged == report.total("acked") >= ACKNOWLEDGED_AT_LEAST
    assert figure(report.output, "attempted") == report.total("sent")
    for word in ("lost", "unexpected", "duplicates"):
        assert figure(report.output, word) == 0
    counts = report.record["verdict"]["counts"]
    assert counts["exact"]
    assert not counts["wrong"]
    assert counts["checked"] >= SECONDS / 4
    (final,) = counts["final"]
    assert final["low"] == final["count"] == final["high"]
    assert not processes_with(str(report.directory))


def test_the_page_shows_it(report: Report, page: Page, witness: Witness) -> None:
    page.goto(report.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Load test of demo")
    expect(page.locator("#verdict")).to_have_text("valid")

    def shown(name: str) -> str:
        return page.locator(f'[data-figure="{name}"]').inner_text()

    for name, total in (("sent", "sent"), ("acknowledged", "acked"), ("refused", "refused")):
        assert shown(name) == f"{report.total(total):,}"
    samples = report.record["samples"]
    assert shown("largest count") == f"{max(one['count'] for one in samples['count']):,}"
    assert shown("counts checked") == f"{report.record['verdict']['counts']['checked']:,}"

    ledger = report.record["verdict"]["ledger"]
    for row in page.locator("#ledger tbody tr").all():
        word, number, _ = row.locator("td").all_inner_texts()
        assert number == f"{ledger[word]:,}"
    for name in ("ledger", "counts", "generators", "costs", "conditions"):
        expect(page.locator(f"#{name}")).to_be_visible()
    expect(page.locator("#absent")).to_contain_text("allocations")
    expect(page.locator("#conditions")).to_contain_text(report.record["commit"])

    assert witness.complaints == []
    assert {url for url in witness.requests if not url.startswith("data:")} == {report.url}


def test_each_chart_is_drawn_with_its_figures(report: Report, page: Page) -> None:
    page.goto(report.url)
    assert page.locator("figure svg").count() == len(CHARTS)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids)), "two elements with one id: a chart would draw another's parts"
    for name in CHARTS:
        svg = page.locator(f"#chart-{name} svg")
        box = svg.bounding_box()
        assert box is not None
        assert box["width"] > 500
        expect(svg).to_contain_text("seconds since the load began")
        assert (report.directory / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n")
    expect(page.locator("#chart-count svg")).to_contain_text("GET /events/count")
    expect(page.locator("#chart-count svg")).to_contain_text("the window has passed")
    expect(page.locator("#chart-events svg")).to_contain_text(f"{RATE}/s were asked for")
    expect(page.locator("#chart-machine svg")).to_contain_text("TGIBF")


def test_the_page_fits_a_telephone(report: Report, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(report.url)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_the_same_record_gives_the_same_bytes(copy: Report) -> None:
    made = [path for path in copy.directory.iterdir() if path.suffix in {".html", ".png"}]
    made.append(copy.directory / "summary.json")
    before = {path: path.read_bytes() for path in made}
    for path in made:
        path.unlink()
    again = script("loadtest", "--again", copy.directory / "report.json")
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in made} == before


def test_the_summary_has_the_figures_without_the_samples(report: Report) -> None:
    summary = json.loads((report.directory / "summary.json").read_text())
    assert summary["valid"] is True
    assert summary["acked"] == report.total("acked")
    assert summary["ledger"] == report.record["verdict"]["ledger"]
    assert summary["events_per_write"] >= 1
    assert summary["cpu_us_per_event"]["receivers"] > 0
    assert "samples" not in summary


def test_acknowledged_events_that_disappear_make_it_invalid(copy: Report, page: Page) -> None:
    """Rows deleted from the real store, and one doubled, after the run; then judged anew."""
    with closing(sqlite3.connect(copy.directory / "events.db")) as db:
        db.execute("DELETE FROM events WHERE id IN (10, 20, 30)")
        db.execute(
            "INSERT INTO events (received_at, type, body) "
            "SELECT received_at, type, body FROM events WHERE id = 40"
        )
        db.commit()
    judged = script("loadtest", "--judge", copy.directory)
    assert judged.returncode == 1, judged.stderr
    assert judged.stdout.splitlines()[-1] == "INVALID"
    assert figure(judged.stdout, "lost") == 3
    assert figure(judged.stdout, "duplicates") == 1
    assert "3 acknowledged events are not in the store" in judged.stdout
    page.goto(copy.url)
    expect(page.locator("#verdict")).to_have_text("INVALID")
    expect(page.locator(".reasons").first).to_contain_text("3 acknowledged events are not in the")
