"""Prints a line of a test's result."""

from collections.abc import Callable

Say = Callable[[str], None]
