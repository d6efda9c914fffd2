"""scripts/capacity as a user types it, and docs/capacity.md, which shows its output."""

import re

import pytest

from tests.support.scripts import script
from tools.root import ROOT

PAGE = ROOT / "docs" / "capacity.md"


def shown() -> list[tuple[list[str], str]]:
    """The commands that the page shows, and the output below each."""
    blocks = re.findall(
        r"```console\n\$ scripts/capacity ([^\n]*)\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    return [(command.split(), output) for command, output in blocks]


def test_the_page_shows_what_the_script_prints() -> None:
    assert shown()
    for arguments, output in shown():
        assert script("capacity", *arguments).stdout == output


@pytest.mark.parametrize("table", ["--constants", "--growth"])
def test_the_page_has_the_tables(table: str) -> None:
    printed = script("capacity", table)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout in PAGE.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the arguments"),
        (["--events-per-second", "0"], "allowed is a number from 0.001"),
        (["--events-per-second", "many"], "allowed is a number from 0.001"),
        (["--events-per-second", "1", "--connections", "some"], "invalid"),
        (["--events-per-second", "1", "--busy", "1.1"], "allowed is a number from 0.05 to 1"),
        (["--events-per-second", "1", "--cores", "0"], "allowed is 1 to 4096"),
        (["--events-per-second", "1", "--cores", "9" * 400], "allowed is 1 to 4096"),
        (["--events-per-second", "1", "--peak-factor", "0.5"], "allowed is a number from 1"),
        (["--events-per-second", "1", "--burst", "1"], "not allowed with"),
        (["--burst", "0"], "allowed is 1 to 1000000000"),
        (["--burst", "1", "--every", "0"], "allowed is a number from 0.1"),
        (["--burst", "1", "--memory", "1855"], "1,856 MB is the least"),
    ],
)
def test_bad_arguments_are_explained(arguments: list[str], words: str) -> None:
    ended = script("capacity", *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
