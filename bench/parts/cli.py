"""What each part of a running cluster uses of memory and CPU, and what is set aside for it.

Looks at all processes of the nodes once per second: for so many seconds, or as long as a command
runs. "largest" of the memory is the kernel's own figure, so nothing between two looks is missed.
Each of a part counts: p99 is over all allocations and all seconds. After a Ctrl-C it prints what it
has seen; a command on the same terminal hears it too, and is waited for.
"""

import argparse
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from bench.figures import conditions
from bench.parts.given import ask_given
from bench.parts.looks import Looks
from bench.parts.usage import Look, show, usage_of
from harness.cluster import Cluster
from tgibf.arguments import whole
from tools.root import ROOT
from tools.say import fail, say

SECONDS = 60
FEWEST = 2
"""Looks: CPU is what was used between two."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Look and print; the command's exit code, if there is one."""
    given = _parser().parse_args(arguments)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not Cluster().runs:
        fail("there is no cluster; scripts/cluster up")
    code = 0
    with Looks() as looks:
        if command:
            code = _run(command)
        else:
            say(f"looking for {given.seconds} s; Ctrl-C ends it")
            with suppress(KeyboardInterrupt):
                time.sleep(given.seconds)
    if len(looks.taken) < FEWEST:
        fail("it ended before there was anything to see")
    print(report(looks.taken))
    return code


def report(looks: Sequence[Look]) -> str:
    """The table, with what it is of."""
    set_aside, core_mhz = ask_given()
    seconds = looks[-1].at - looks[0].at
    head = f"{len(looks):,} looks in {seconds:,.0f} s; a core has {core_mhz:,.0f} MHz; "
    return f"{head}{conditions()}\n\n{show(usage_of(looks), set_aside, core_mhz)}"


def _run(command: Sequence[str]) -> int:
    """Its exit code; it shares the terminal, so Ctrl-C is its, too."""
    try:
        process = subprocess.Popen(command, cwd=ROOT)
    except OSError as error:
        fail(f"{command[0]}: {error.strerror}")
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                say("waiting for its end")
    finally:
        process.terminate()  # where another stop ends this


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench parts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  scripts/bench parts --seconds 300\n"
        "  scripts/bench parts -- scripts/loadtest --target cluster --minutes 5",
    )
    parser.add_argument(
        "--seconds",
        type=whole(2, 86_400),
        default=SECONDS,
        metavar="N",
        help="how long (default %(default)s)",
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="look as long as this runs"
    )
    return parser
