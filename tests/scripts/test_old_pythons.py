"""Whatever is typed says in one sentence that this Python is too old, from Python 3.6 on."""

import ast
import re
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.scripts import SCRIPTS
from tools.root import ROOT
from tools.venv import pythons

OLDEST = (3, 6)
PACKAGES = {"webhook": ("could not start", 3), "tgibf": ("error", 2), "loadtest": ("error", 1)}
"""The packages that are run by `python -m`: how each begins to say that it can't, and ends then."""


def scripts() -> Iterator[Path]:
    """Every Python program in scripts/, and those that a node runs."""
    for path in sorted([*SCRIPTS.glob("*"), *(ROOT / "node" / "bin").glob("*")]):
        if path.is_file():
            first, *_ = path.read_bytes().split(b"\n", 1)
            if first.startswith(b"#!") and b"python" in first:
                yield path


OLD = pythons(range(OLDEST[1], 11))  # before the one that is needed
NAMES = [str(path.relative_to(ROOT)) for path in scripts()]
REFUSING = ["tools/__init__.py"]
REFUSING += [f"{name}/{file}.py" for name in PACKAGES for file in ("__init__", "__main__")]


def test_there_are_mains_to_look_at() -> None:
    assert {"scripts/demo", "scripts/test", "node/bin/init", "node/bin/check-cql"} <= {*NAMES}
    assert {path.parent.name for path in ROOT.glob("*/__main__.py")} == {*PACKAGES}


@pytest.mark.parametrize(
    "newer",
    [
        "from __future__ import annotations",
        "if (a := 1): pass",
        "def f(a, /): pass",
        "match a:\n case 1: pass",
        "try: pass\nexcept* OSError: pass",
    ],
)
def test_newer_syntax_is_seen(newer: str) -> None:
    ast.parse(newer)
    with pytest.raises(SyntaxError):
        parsed(newer)


@pytest.mark.parametrize("name", NAMES)
def test_an_old_python_gets_as_far_as_the_refusal(name: str) -> None:
    """A script parses, and all it does is import until it imports `tools`, the first of ours."""
    body = parsed((ROOT / name).read_text()).body
    before = list(takewhile(lambda node: "tools" not in imported(node), body))
    assert len(before) < len(body)
    for node in before:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Expr), ast.unparse(node)
        for module in imported(node):
            assert not (ROOT / module).is_dir(), module


@pytest.mark.parametrize("file", REFUSING)
def test_an_old_python_can_read_what_refuses_it(file: str) -> None:
    parsed((ROOT / file).read_text())


def parsed(source: str) -> ast.Module:
    """As far as this parser can tell, what the oldest Python parses. Raises SyntaxError.

    It can't tell all: decorators that are more than names and calls, stars in new places, and where
    it is of 3.12 or later new f-strings, pass.
    """
    tree = ast.parse(source, feature_version=OLDEST)
    if any("__future__" in imported(node) for node in tree.body):
        raise SyntaxError("the features of __future__ are those of a newer Python")
    return tree


def imported(node: ast.stmt) -> list[str]:
    """The top-level packages that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]]
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return []


@pytest.mark.skipif(not OLD, reason="no Python before 3.11 is here")
@pytest.mark.parametrize("version", OLD)
def test_an_old_python_gets_one_sentence(version: str) -> None:
    """With --help and then, as that was refused, with no argument."""
    mains = [([str(ROOT / name)], "error", 1) for name in NAMES]
    mains += [(["-m", name], begins, code) for name, (begins, code) in PACKAGES.items()]
    for main, begins, code in mains:
        sentence = rf"{begins}: this is Python {version}\.\S+; run it with Python 3\.11 or later\n"
        for command in ([*main, "--help"], main):
            ended = subprocess.run(
                [OLD[version], *command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert re.fullmatch(sentence, ended.stderr), (command, ended.stderr)
            assert (ended.returncode, ended.stdout) == (code, ""), command
