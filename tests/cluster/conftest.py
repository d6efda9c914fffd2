"""The browser's fixtures, and what runs only at length."""

import pytest

from tests.support.browser import browser, page, witness

__all__ = ["browser", "page", "witness"]


@pytest.fixture
def at_length(request: pytest.FixtureRequest) -> None:
    """Skips the test where each fault is injected just once."""
    if not request.config.getoption("--long"):
        pytest.skip("takes long: scripts/test faults")
