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
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="write the pictures of the cluster in docs/images anew (tests/cluster)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `round_` runs once, and with `--long` as often as its mark says."""
    if "round_" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("long_rounds")
        rounds = mark.args[0] if mark and metafunc.config.getoption("--long") else 1
        metafunc.parametrize("round_", range(1, rounds + 1))


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a test's SQLite store is."""
    return tmp_path / "events.db"


@pytest.fixture
def receiver(store_path: Path) -> Iterator[Receiver]:
    """A receiver with ordinary settings."""
    with Receiver(store_path) as running:
        yield running
