"""Numbers on the command line, within bounds."""

import argparse
import math
from collections.abc import Callable


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """The parser of a whole number within bounds."""
    allowed = f"a whole number, {low} or more" if high is None else f"{low} to {high}"

    def parse_whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed is {allowed}")
        return value

    return parse_whole


def number(low: float, high: float) -> Callable[[str], float]:
    """The parser of a number within bounds."""

    def parse_number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not allowed; allowed is a number from {low:,g} to {high:,.0f}"
            )
        return value

    return parse_number
