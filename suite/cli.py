"""Set up and run the tests, in stages, the quickest first.

Before a stage runs, its needs are installed: Debian packages as root on Debian, and the servers'
programs, in the background at the lowest priority. Without root, the stages that need none run,
and nothing is installed system-wide. The last lines say what was skipped or left out, and why.
"""

import argparse
from itertools import takewhile

from suite.stages import SUITES

EPILOG = """
All other arguments go to pytest, for example:
  scripts/test tests/webhook/rules/test_window.py
  scripts/test -k pipelined -x
  scripts/test quick --random-order
Only the stages that have these tests run, and only their needs are installed.
Exit code: 0 if all passed, else pytest's: 1 a failure, 2 interrupted, 4 wrong usage, 5 no tests.
"""


def main() -> int:
    meanings = "\n".join(f"  {name:<10} {suite.meaning}" for name, suite in SUITES.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"suites:\n{meanings}\n{EPILOG}",
        allow_abbrev=False,
        usage="%(prog)s [--keep-going] [SUITE ...] [ARGUMENT OF PYTEST ...]",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="run the later stages after a failure, too"
    )
    options, rest = parser.parse_known_args()
    from suite.running import run

    names = list(takewhile(SUITES.__contains__, rest))
    suites = [SUITES[name] for name in names or ["all"]]
    return run(suites, rest[len(names) :], keep_going=options.keep_going)
