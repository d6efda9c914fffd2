"""The browser's fixtures."""

from tests.support.browser import browser, page, witness

__all__ = ["browser", "page", "witness"]
