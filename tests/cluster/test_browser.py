"""The pages of Consul, Nomad and Fabio, and the webhook's own, in a real browser.

With --screenshots they are written to docs/images.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from cluster.health import Instance
from cluster.layout import CONSUL_PORT, NODES, NOMAD_PORT, ROUTES_PORT
from harness.cluster import DOORS, Cluster
from harness.generator import Generator
from tests.support.browser import WAIT_MS

expect.set_options(timeout=4 * WAIT_MS)  # these pages are large, and three nodes run beside them

NODE = NODES[0]

Shoot = Callable[[str], None]


@pytest.fixture(scope="module")
def allocations(running_cluster: Cluster) -> list[Instance]:
    """Three, by address."""
    running_cluster.restore()
    running_cluster.scale(3)
    return sorted(running_cluster.passing(), key=lambda one: one.address)


@pytest.fixture(scope="module")
def traffic(
    allocations: list[Instance], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Generator]:
    """Some events, while the module lasts."""
    assert allocations
    ledger = tmp_path_factory.mktemp("browser") / "ledger"
    with Generator(DOORS, ledger, "--keep-alive", "--rate", "200") as generator:
        generator.acknowledge(1000)
        yield generator
        generator.finish(interrupt=True)


@pytest.mark.usefixtures("traffic")
def test_consul_shows_each_allocation_and_its_checks(
    allocations: list[Instance], page: Page, shoot: Shoot
) -> None:
    page.goto(f"{NODE.url(CONSUL_PORT)}/ui/dc1/services/webhook/instances")
    for one in allocations:
        expect(page.get_by_text(one.address)).to_be_visible()
        expect(page.get_by_role("link", name=one.node).first).to_be_visible()
    expect(page.get_by_text("All service checks passing")).to_have_count(len(allocations))
    expect(page.get_by_text("All node checks passing")).to_have_count(len(allocations))
    shoot("consul")


@pytest.mark.usefixtures("traffic")
def test_nomad_shows_each_allocation_running(
    allocations: list[Instance], page: Page, shoot: Shoot
) -> None:
    jobs = f"{NODE.url(NOMAD_PORT)}/ui/jobs"
    page.goto(f"{jobs}/webhook@default/allocations?status=%5B%22running%22%5D")
    rows = page.locator("tr.allocation-row", has_text="running")
    expect(rows).to_have_count(len(allocations))
    for one in allocations:
        node = page.locator(f'[aria-label="{one.node}"]')  # beside the client's short id
        there = sum(other.node == one.node for other in allocations)
        expect(rows.filter(has=node)).to_have_count(there)
    shoot("nomad")


@pytest.mark.usefixtures("traffic")
def test_fabio_shows_a_route_to_each_allocation(
    allocations: list[Instance], page: Page, shoot: Shoot
) -> None:
    page.goto(NODE.url(ROUTES_PORT))
    for one in allocations:
        row = page.get_by_role("row").filter(has_text=f"tcp://{one.address}")
        expect(row).to_contain_text("webhook")
        expect(row).to_contain_text(":9999")
        expect(row).to_contain_text(re.compile(r"33\.33\s*%"))
    shoot("fabio")


@pytest.mark.usefixtures("traffic")
def test_the_live_page_lists_all_allocations(
    allocations: list[Instance], page: Page, shoot: Shoot
) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(DOORS[0])
    table = page.get_by_role("table", name="Allocations")
    rows = table.get_by_role("row")
    expect(rows).to_have_count(1 + len(allocations))
    for one in allocations:
        row = rows.filter(has_text=one.address)
        expect(row).to_contain_text(one.node)
        expect(row.get_by_role("cell").last).to_have_text(re.compile(r"^[1-9]"))
    expect(page.locator("#status")).to_have_text("live")
    shoot("cluster-page")
