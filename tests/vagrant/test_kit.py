"""What is put together for machines, without any machine."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cluster import kit
from cluster.nodes.virtual import keep
from tools.root import ROOT

LIBRARY = ("cluster.up", "cluster.routing.service", "cluster.ring.schema")
PACKAGE = "python3_3.11.2-1+b1_amd64.deb"


def test_packages_that_a_machine_had_to_fetch_are_kept_for_the_others_and_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PACKAGE).write_text("a package")
    with tarfile.open(tmp_path / "debian.tar", "w") as archive:
        archive.add(tmp_path / PACKAGE, PACKAGE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep(tmp_path / "kit", "debian/bookworm64-12", tmp_path / "debian.tar")
    found = [path.relative_to(tmp_path).parts for path in tmp_path.rglob(f"*/{PACKAGE}")]
    assert {parts[0] for parts in found} == {"cache", "kit"}
    assert (tmp_path / "kit" / "debian" / PACKAGE).read_text() == "a package"


def test_what_a_node_gets_of_the_repository_is_all_that_its_programs_need(tmp_path: Path) -> None:
    for name in kit.FROM_REPOSITORY:
        kit.mirror(ROOT / name, tmp_path / name, link=False)
    assert not {"loadtest", "commands", "suite"} & {one.name for one in tmp_path.iterdir()}
    programs = sorted((tmp_path / "node" / "bin").iterdir())
    assert programs
    commands = [[str(program), "--help"] for program in programs]
    for command in (*commands, [sys.executable, "-c", f"import {', '.join(LIBRARY)}"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
