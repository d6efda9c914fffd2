"""What both commands may be told: how long, how large, and where reports go."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from bench.sizing.loads import Shape
from bench.sizing.signals import LOOK_BACK_SECONDS
from tgibf.arguments import number, whole

MINUTES, ROUNDS, LIMIT, MOST = 5.0, 3, 150, 5
LEAST_LOOK_BACK = 30
LEAST_MOST = 4
"""So that a step needs more than the two that a run begins with."""
PREPARE_SECONDS = 60
"""About what a run takes beside its load: the stage, the verdict, the report."""


@dataclass(frozen=True, slots=True)
class Options:
    """As given."""

    seconds: int
    """Of each load."""
    rounds: int
    limit: int
    """Events/s of one allocation."""
    most: int
    """Allocations."""
    look_back_seconds: int
    folder: Path

    def shape(self, round_: int) -> Shape:
        """The same for all that is compared in a round."""
        return Shape(self.limit, self.most, self.seconds, seed=round_)

    def words(self) -> str:
        """For the head of a table."""
        return (
            f"loads of {self.seconds:,} s; {self.limit:,} events/s per allocation, its own limit; "
            f"{self.most} allocations; a look back of {self.look_back_seconds} s"
        )

    def about(self, runs: int) -> str:
        """How long so many runs take, for people."""
        minutes = runs * (self.seconds + PREPARE_SECONDS) / 60
        return f"{runs:,} runs, about {minutes:,.0f} minutes"


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Those of both commands; `name` is the command's, for the default of its folder."""
    parser.add_argument(
        "--minutes",
        type=number(1, 120),
        default=MINUTES,
        metavar="N",
        help=f"of each load (default {MINUTES:g})",
    )
    parser.add_argument(
        "--rounds", type=whole(1, 100), default=ROUNDS, metavar="N", help="default %(default)s"
    )
    parser.add_argument(
        "--limit",
        type=whole(10, 10_000),
        default=LIMIT,
        metavar="N",
        help="events/s that one allocation takes (default %(default)s)",
    )
    parser.add_argument(
        "--most",
        type=whole(LEAST_MOST, 12),
        default=MOST,
        metavar="N",
        help="allocations at most; there must be room (default %(default)s)",
    )
    parser.add_argument(
        "--look-back",
        type=whole(LEAST_LOOK_BACK, LOOK_BACK_SECONDS),
        metavar="SECONDS",
        help="of the rules (default: a third of a load, 600 at most as in prometheus/rules)",
    )
    default = Path("report") / f"{name}-{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime())}"
    parser.add_argument(
        "--report",
        type=Path,
        default=default,
        metavar="DIR",
        help=f"a new folder for the load tests' reports (default report/{name}-<UTC time>)",
    )


def options_of(given: argparse.Namespace, parser: argparse.ArgumentParser) -> Options:
    """What the arguments say; the parser's usage error, exit code 2, for a folder that is there."""
    if given.report.exists():
        parser.error(f"--report {given.report}: it is there already; name a new folder")
    seconds = round(given.minutes * 60)
    third = max(LEAST_LOOK_BACK, min(LOOK_BACK_SECONDS, seconds // 3))
    return Options(
        seconds=seconds,
        rounds=given.rounds,
        limit=given.limit,
        most=given.most,
        look_back_seconds=given.look_back or third,
        folder=given.report.absolute(),
    )
