"""Load for half an hour or more, a verdict on every event, and a report. See docs/load-test.md."""

from loadtest.arguments import parse
from tools.entry import enter, importing


def main() -> int:
    """Do what the command line asks for; the exit code."""
    wish = parse()
    enter("loadtest")
    with importing():
        from loadtest.main import main as run

    return run(wish)
