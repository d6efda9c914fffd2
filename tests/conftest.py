"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receiver import Receiver


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="inject each fault many times")
    parser.addoption(
        "--screenshot-of",
        metavar="URL",
        help="write docs/images/live-page.png anew, from the receiver at URL",
    )


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a test's SQLite store is."""
    return tmp_path / "events.db"


@pytest.fixture
def receiver(store_path: Path) -> Iterator[Receiver]:
    """A receiver with ordinary settings."""
    with Receiver(store_path) as running:
        yield running
