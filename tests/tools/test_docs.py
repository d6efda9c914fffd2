"""What documents and comments name of the repository is there."""

import re
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
OTHERS = {"nomad/api", "nomad/heartbeat.go"}  # of the source of Nomad itself


def texts() -> list[Path]:
    """The repository's files that are no programs."""
    found = [path for path in repository_files() if any(path.match(one) for one in TEXTS)]
    return [path for path in found if path.name != "CHANGELOG.md"]  # it names what was


@pytest.mark.parametrize("file", texts(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_that_is_named_is_there(file: Path) -> None:
    named = {name for name in NAMED.findall(file.read_text()) if not PLACEHOLDERS.search(name)}
    assert [name for name in sorted(named - OTHERS) if not (ROOT / name).exists()] == []
