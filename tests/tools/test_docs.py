"""What documents and comments name of the repository is there."""

import re
import subprocess
from pathlib import Path

import pytest

from commands.lint import repository_files
from tests.tools.test_rooms import ARROWS
from tools.root import ROOT

FOLDERS = (
    *ARROWS,
    "tests",
    "scripts",
    "nomad",
    "consul",
    "prometheus",
    "docs",
    "requirements",
    ".ci",
)
NAMED = re.compile(rf"(?<![\w./$-])((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*\w)")
TEXTS = ("*.md", "*.nomad", "*.hcl", "*.service", "*.yaml", "*.toml", "Vagrantfile", "Dockerfile")
PLACEHOLDERS = re.compile(r"NAME|\d{4}-\d\d-\d\d")
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())
OTHERS = {"nomad/api", "nomad/heartbeat.go"}  # of the source of Nomad itself


def texts() -> list[Path]:
    """The repository's files that are no programs."""
    found = [path for path in repository_files() if any(path.match(one) for one in TEXTS)]
    return [path for path in found if path.name != "CHANGELOG.md"]  # it names what was


def pages() -> list[Path]:
    """The documents."""
    return [path for path in repository_files() if path.suffix == ".md"]


@pytest.mark.parametrize("file", texts(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_that_is_named_is_there(file: Path) -> None:
    named = {name for name in NAMED.findall(file.read_text()) if not PLACEHOLDERS.search(name)}
    assert [name for name in sorted(named - OTHERS) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("file", pages(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_somewhere(file: Path) -> None:
    """To a file of the repository, and to a heading of it; the world outside is not asked."""
    dead = []
    for target in LINK.findall(file.read_text()):
        name, _, heading = target.partition("#")
        linked = file.parent / name if name else file
        if not linked.exists() or (heading and heading not in headings(linked)):
            dead.append(target)
    assert dead == []


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_command_that_is_named_is_in_its_help(script: Path) -> None:
    """The first word after the script's name, where documents show how to call it."""
    call = re.compile(rf"(?:`|^|\s)scripts/{script.name} ([a-z][a-z-]*)")
    codes = [code for page in pages() for code in CODE.findall(page.read_text())]
    named = {word for code in codes for word in call.findall(code)}
    asked = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    known = set(re.findall(r"[a-z][a-z-]*", asked.stdout))
    assert sorted(named - known) == []
