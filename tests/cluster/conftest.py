"""The browser's fixtures, its pictures, and a cluster that sizes itself."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.cluster.sizing import at_3, by_hand, quick, sized, stub
from tests.support.browser import browser, page, witness
from tools.root import ROOT

__all__ = ["at_3", "browser", "by_hand", "page", "quick", "sized", "stub", "witness"]

PICTURES = ROOT / "docs" / "images"


@pytest.fixture
def shoot(request: pytest.FixtureRequest, page: Page, tmp_path: Path) -> Callable[[str], None]:
    """Takes a picture of the page: for the documents with --screenshots."""
    kept = request.config.getoption("--screenshots")

    def take(name: str) -> None:
        target = (PICTURES if kept else tmp_path) / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=target)
        assert target.stat().st_size > 0

    return take
