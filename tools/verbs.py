"""The verbs of a command, such as `up` of scripts/cluster."""

import argparse
from typing import Any


class Verbs:
    """The verbs of a parser; the one that was given is in its namespace as `verb`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """Add a verb, with argparse's options.

        Its own --help says what the command's says of it, unless there is a `description`.
        """
        return self._verbs.add_parser(name, **{"description": options["help"], **options})
