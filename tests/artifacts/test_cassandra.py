"""Where Cassandra's files come from, and that others are refused; with small files for them."""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts import cassandra
from artifacts.cassandra import (
    ARCHIVE,
    CONFIGURATION,
    SUMS,
    VERSION,
    provide_cassandra,
    verify,
)
from artifacts.fetch import ChecksumError, FetchError, fetch
from tests.support.file_server import serving

JARS = {f"cassandra-all-{VERSION}.jar": b"the database", "jamm-0.4.0.jar": b"the agent"}


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that the file server serves: a release's archive."""
    folder = tmp_path / "served"
    folder.mkdir()
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        for name, content in (JARS | {"README.txt": b"read me"}).items():
            place = "lib" if name in JARS else "."
            member = tarfile.TarInfo(f"apache-cassandra-{VERSION}/{place}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


@pytest.fixture
def url(served: Path, cache: Path) -> Iterator[str]:
    """The archive's URL on a file server of its own; no test that has it sees the real cache."""
    assert not cache.exists()
    with serving(served) as server:
        yield f"{server.url}/{ARCHIVE}"


@pytest.fixture
def checksum(served: Path) -> str:
    return hashlib.sha256((served / ARCHIVE).read_bytes()).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no Maven."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    return cassandra.cache()


def test_the_archive_s_jars_are_kept_and_nothing_else(url: str, checksum: str, cache: Path) -> None:
    lib = provide_cassandra(url, checksum)
    assert lib == cache / "lib"
    assert {path.name: path.read_bytes() for path in lib.iterdir()} == JARS
    assert sorted(path.name for path in cache.iterdir()) == [SUMS, "lib"]
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_a_warm_cache_needs_no_network(url: str, checksum: str, cache: Path, served: Path) -> None:
    provide_cassandra(url, checksum)
    (served / ARCHIVE).unlink()
    assert provide_cassandra(url, checksum) == cache / "lib"


def test_another_file_than_expected_is_refused(
    url: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        provide_cassandra(url, "0" * 64)
    assert "is not the expected file" in capsys.readouterr().err
    assert not cache.exists()
    assert list(cache.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_a_damaged_cache_is_refused(
    url: str, checksum: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lib = provide_cassandra(url, checksum)
    jar = lib / next(iter(JARS))
    match damage:
        case "change":
            jar.write_bytes(b"the databasf")
        case "remove":
            jar.unlink()
        case "add":
            (lib / "evil.jar").write_bytes(b"")
    with pytest.raises(SystemExit):
        provide_cassandra(url, checksum)
    assert "remove" in capsys.readouterr().err


def test_without_the_archive_maven_is_asked_and_its_jars_are_held_against_the_list(
    url: str,
    served: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (served / ARCHIVE).unlink()

    def other_jars(target: Path) -> None:
        target.mkdir()
        for line in (cassandra.CONFIGURATION / "jars.sha256").read_text().splitlines():
            (target / line.split()[1]).write_bytes(b"something else")

    monkeypatch.setattr(cassandra, "_from_maven", other_jars)
    with pytest.raises(SystemExit):
        provide_cassandra(url, "0" * 64)
    assert "its SHA-256 is" in capsys.readouterr().err
    assert not cache.exists()


def test_without_anything_it_says_what_to_install(
    url: str, served: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (served / ARCHIVE).unlink()
    with pytest.raises(SystemExit):
        provide_cassandra(url, "0" * 64)
    said = capsys.readouterr().err
    assert "404" in said
    assert "apt-get install maven" in said
    assert not cache.exists()


def test_a_file_that_ends_early_is_not_taken(url: str, served: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(ChecksumError):
        fetch(url, target, "0" * 64)
    (served / ARCHIVE).unlink()
    with pytest.raises(FetchError):
        fetch(url, target, "0" * 64)
    assert list(tmp_path.glob("target*")) == []


@pytest.mark.ring  # it fetches them
def test_the_jars_in_use_are_those_of_the_list() -> None:
    """Unless they came from the archive, whose list is its own."""
    lib = provide_cassandra()
    verify(lib, lib.parent / SUMS)
    assert (lib / f"cassandra-all-{VERSION}.jar").exists() or list(
        lib.glob("apache-cassandra-*.jar")
    )


@pytest.mark.parametrize("file", ["pom.xml", "Dockerfile"])
def test_files_that_import_nothing_name_the_same_version(file: str) -> None:
    named = re.findall(r"(?:<version>|cassandra-)(\d[\d.]*)", (CONFIGURATION / file).read_text())
    assert named[0] == VERSION
