"""The rooms of the repository, and the arrows between them: they point down, and make no circle."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tools.root import ROOT

# Each room, and all that it may import of the others.
ARROWS: dict[str, set[str]] = {
    "webhook": set(),
    "tgibf": set(),
    "tools": set(),
    "artifacts": {"tools"},
    "cluster": {"artifacts", "tools"},
    "node": {"cluster", "artifacts", "tools"},
    "kubelab": {"cluster", "artifacts", "tools"},
    "harness": {"kubelab", "cluster", "artifacts", "tools", "webhook", "tgibf"},
    "bench": {"harness", "cluster", "artifacts", "tools", "webhook", "tgibf"},
    "loadtest": {"harness", "kubelab", "cluster", "artifacts", "tools", "webhook", "tgibf"},
    "commands": {"harness", "cluster", "artifacts", "tools", "webhook", "tgibf"},
    "capacity": {"tools", "tgibf"},
    "suite": {"tools"},
}
INSTALLS_NOTHING = ("tools", "suite", "artifacts")
"""They run before anything is installed."""
SHIM = """\
#!/usr/bin/env python3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[{up}]))
from tools.entry import run_main  # first: it hears a stop, and refuses a Python that is too old

# isort: split
from {module} import main

run_main(main)
"""

Tree = dict[str, ast.Module]


@pytest.fixture(scope="module")
def tree() -> Tree:
    """Every module of the rooms by its name."""
    return {
        name_of(path): ast.parse(path.read_text())
        for room in ARROWS
        for path in (ROOT / room).rglob("*.py")
        if "peers" not in path.parts  # what is measured beside ours stands alone
    }


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: Tree, name: str) -> Iterator[str]:
    """What a module imports, wherever in it: modules of the rooms by name, others by package."""
    for node in ast.walk(tree[name]):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            base = node.module or ""
            found = [
                one if (one := f"{base}.{alias.name}") in tree else base for alias in node.names
            ]
        else:
            found = []
        for one in found:
            yield one if one in tree else one.partition(".")[0]


def test_every_folder_with_code_is_a_room() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - {"tests"} == {*ARROWS}


def test_no_arrow_points_up(tree: Tree) -> None:
    wrong = [
        f"{name} imports {one}"
        for name in tree
        for one in imported(tree, name)
        if (room := one.partition(".")[0]) in {*ARROWS, "tests"}
        and room not in {name.partition(".")[0], *ARROWS[name.partition(".")[0]]}
    ]
    assert not wrong, "\n".join(wrong)


def test_the_arrows_make_no_circle() -> None:
    assert [*TopologicalSorter(ARROWS).static_order()]


def test_no_module_imports_itself_by_a_detour(tree: Tree) -> None:
    graph = {
        name: {one for one in imported(tree, name) if one in tree and one != name} for name in tree
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("room", INSTALLS_NOTHING)
def test_what_installs_needs_nothing_installed(tree: Tree, room: str) -> None:
    allowed = {*sys.stdlib_module_names, *ARROWS}
    for name in tree:
        if name.partition(".")[0] == room:
            assert {one.partition(".")[0] for one in imported(tree, name)} <= allowed, name


def test_the_check_of_every_ten_seconds_imports_little(tree: Tree) -> None:
    ours = {one for one in imported(tree, "node.check_cql") if one in tree}
    assert ours == {"tools.network"}


def test_nobody_edits_the_path_of_modules_but_the_commands(tree: Tree) -> None:
    edits = [
        name
        for name, module in tree.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
    ]
    assert not edits


@pytest.mark.parametrize("folder", ["scripts", "node/bin"])
def test_commands_are_a_few_lines_that_are_alike(tree: Tree, folder: str) -> None:
    for path in (ROOT / folder).iterdir():
        if path.is_file():
            text = path.read_text()
            module = text.rpartition("from ")[2].partition(" ")[0]
            assert text == SHIM.format(up=folder.count("/") + 1, module=module), path
            assert module in tree
