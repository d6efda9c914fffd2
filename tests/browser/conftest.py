"""The browser's fixtures."""

from tests.support.browser import WAIT_MS, Witness, browser, page, witness

__all__ = ["WAIT_MS", "Witness", "browser", "page", "witness"]
