"""The browser's fixtures, and what runs only at length."""

import pytest

from tests.support.browser import browser, page, witness

__all__ = ["browser", "page", "witness"]


@pytest.fixture(scope="session")
def at_length(pytestconfig: pytest.Config) -> None:
    """Skips the test where each fault is injected just once."""
    if not pytestconfig.getoption("--long"):
        pytest.skip("takes long: scripts/test faults")
