"""Verbs of commands, and what their --help says."""

import argparse

import pytest

from tools.verbs import Verbs


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    verbs = Verbs(made)
    verbs.add_parser("status", help="show what runs where")
    up = verbs.add_parser("up", help="start all", description="Start all, in their order.")
    up.add_argument("--fast", action="store_true")
    return made


@pytest.mark.parametrize(
    ("verb", "words"),
    [("status", "show what runs where"), ("up", "Start all, in their order.")],
)
def test_the_help_of_a_verb_says_what_it_does(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str], verb: str, words: str
) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args([verb, "--help"])
    assert words in capsys.readouterr().out


def test_the_verb_is_in_the_namespace(parser: argparse.ArgumentParser) -> None:
    arguments = parser.parse_args(["up", "--fast"])
    assert (arguments.verb, arguments.fast) == ("up", True)


def test_a_verb_is_required(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args([])
