"""Whatever is typed says in one sentence that this Python is too old, under any Python 3."""

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripts import SCRIPTS
from webhook.process import REPOSITORY

OLDEST = (3, 6)
PACKAGES = {"webhook": 3, "tgibf": 2}
"""The packages that are run by `python -m`, and their exit codes for a start that failed."""


def scripts() -> Iterator[Path]:
    """Every Python program in scripts/."""
    for path in sorted(SCRIPTS.rglob("*")):
        if path.is_file() and not path.suffix and "sources" not in path.parts:
            first, *_ = path.read_text().split("\n", 1)
            if first.startswith("#!") and "python" in first:
                yield path


def old_pythons() -> dict[str, str]:
    """Pythons before 3.11 on PATH or among pyenv's that run, by their version."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {}
    for minor in range(OLDEST[1], 11):
        name = f"python3.{minor}"
        for path in (shutil.which(name), *sorted(root.glob(f"versions/*/bin/{name}"))):
            if path and not subprocess.run([path, "-c", ""], capture_output=True).returncode:
                found[f"3.{minor}"] = str(path)
                break
    return found


OLD = old_pythons()
NAMES = [str(path.relative_to(SCRIPTS)) for path in scripts()]


def test_there_are_scripts_to_look_at() -> None:
    assert {"demo", "test", "cluster", "node/init", "node/check-cql"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_any_python_3_gets_as_far_as_the_refusal(name: str) -> None:
    """A script parses, and its first import that is not of the standard library is `support`."""
    tree = ast.parse((SCRIPTS / name).read_text(), feature_version=OLDEST)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match | ast.NamedExpr)]
    ours = [
        module
        for node in tree.body
        for module in imported(node)
        if (SCRIPTS / module).is_dir() or (REPOSITORY / module).is_dir()
    ]
    assert ours[:1] == ["support"]


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
    commands: dict[str, tuple[list[str], int]] = {
        name: ([str(SCRIPTS / name), "--help"], 1) for name in NAMES
    }
    commands |= {name: (["-m", name, "--help"], code) for name, code in PACKAGES.items()}
    for name, (arguments, code) in commands.items():
        ended = subprocess.run(
            [OLD[version], *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert ended.stderr.count("\n") == 1, f"{name}: {ended.stderr}"
        assert f"this is Python {version}." in ended.stderr, name
        assert "run it with Python 3.11 or later" in ended.stderr, name
        assert (ended.returncode, ended.stdout) == (code, ""), name
