"""What is put together for machines, without any machine."""

import tarfile
from pathlib import Path

import pytest

from cluster.nodes.virtual import keep

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
