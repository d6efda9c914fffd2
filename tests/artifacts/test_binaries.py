"""Where the servers' programs come from, and that others are refused; with small ones for them."""

import hashlib
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from artifacts.binaries import BINARIES, RECORD, Binary, Release, origin, provide
from artifacts.cache import cache
from artifacts.fetch import ChecksumError, FetchError
from artifacts.go import VERSION, Recipe, architecture, build, fetch_toolchain, provide_go
from harness.waiting import wait_for
from tests.support.file_server import FileServer, serving
from tools.root import ROOT

PINNED = {
    ("nomad", "1.11.0"): {
        "amd64": "ea4beab31494b810f40e8b2ed5fd74950348546879570780406e6647363e32ba",
        "arm64": "f6ea3bb94bdee15bd0d853a68d6212dc7aa42b78476ddee33667205378edae99",
    },
    ("consul", "1.21.0"): {
        "amd64": "e916e30904eedfa7ee2e2a378b5e8a9a374f2f351e645aa4c0a03adc15dabaec",
        "arm64": "59d04f948d4b04a1d836e69a441e4c3ffb74b41f710329c9ba0dc99392b6f2d5",
    },
    ("fabio", "1.5.15"): {
        "amd64": "14c7a02ca95fb00a4f3010eab4e3c0e354a3f4953d2a793cb800332012f42066",
    },
    ("nomad-autoscaler", "0.5.0"): {},
    ("prometheus", "2.42.0"): {
        "amd64": "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
        "arm64": "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
    },
    ("promtool", "2.42.0"): {
        "amd64": "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
        "arm64": "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
    },
}
HERE = architecture()
FOREIGN = {"amd64": "arm64", "arm64": "amd64"}[HERE]
NOWHERE = "http://127.0.0.1:1"
SCRIPT = b"#!/bin/sh\necho hello 2.3.4\n"
SOURCE = """package main

var version = "2.3.4-dev"

func main() { println("hello", version) }
"""
OWN_GO = cache() / "go" / f"{VERSION}-{HERE}" / "bin"
GO = shutil.which("go") or shutil.which("go", path=OWN_GO)
needs_go = pytest.mark.skipif(GO is None, reason="needs Go: scripts/binaries get may bring it")
Make = Callable[..., Binary]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder of the release site: the program in a zip, and by itself."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "hello").write_bytes(SCRIPT)
    with zipfile.ZipFile(folder / "hello.zip", "w") as archive:
        archive.writestr("LICENSE.txt", "do as you like")
        archive.writestr("hello", SCRIPT)
    (folder / "hello.deb").write_bytes(debian_package({"./usr/bin/hello": SCRIPT}))
    (folder / "empty.deb").write_bytes(debian_package({"./usr/bin/other": SCRIPT}))
    return folder


def debian_package(files: Mapping[str, bytes]) -> bytes:
    """An archive as `dpkg-deb` makes it (deb(5)), with an odd length before the files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            one = tarfile.TarInfo(name)
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    package = b"!<arch>\n"
    for name, content in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        package += header.encode() + content + b"\n" * (len(content) % 2)
    return package


@pytest.fixture
def site(served: Path) -> Iterator[FileServer]:
    with serving(served) as server:
        yield server


@pytest.fixture(autouse=True)
def binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network for Go; what Go compiled before it may use."""
    if GO is not None:
        command = [GO, "env", "GOCACHE"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        monkeypatch.setenv("GOCACHE", found.stdout.strip())
        monkeypatch.setenv("PATH", f"{Path(GO).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache() / "binaries"


@pytest.fixture
def make(tmp_path: Path, served: Path) -> Make:
    """Makes the program that the tests provide, and a source for it."""
    sources = tmp_path / "source"
    sources.mkdir()
    (sources / "go.mod").write_text("module example.com/hello\n\ngo 1.21\n")
    (sources / "main.go").write_text(SOURCE)

    def hello(
        url: str,
        checksum: str | None = None,
        arch: str = HERE,
        stamp: str = "main.version",
        cgo: bool = False,
    ) -> Binary:
        file = served / url.rpartition("/")[2]
        wanted = checksum or (
            hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
        )
        variables: Mapping[str, str] = {stamp: "2.3.4"}
        recipe = Recipe(sources, "example.com/hello", variables=variables, cgo=cgo)
        return Binary("hello", "2.3.4", "version", {arch: Release(url, wanted)}, recipe)

    return hello


def printed(program: Path) -> str:
    """What the program says, on either stream."""
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    return ran.stdout + ran.stderr


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def left(folder: Path) -> list[str]:
    """What is in a folder, if it is there."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(("program", "checksums"), PINNED.items())
def test_the_official_files_are_pinned(
    program: tuple[str, str], checksums: Mapping[str, str]
) -> None:
    name, version = program
    binary = BINARIES[name]
    assert (binary.name, binary.version) == program
    assert {arch: release.sha256 for arch, release in binary.releases.items()} == checksums
    for arch, release in binary.releases.items():
        plain = rf"{name}[_-]{version}[\w.-]*linux_{arch}(\.zip)?$"
        package = rf"/prometheus_{version}\+[\w+-]*_{arch}\.deb$"
        assert re.search(package if release.url.endswith(".deb") else plain, release.url)
    if binary.recipe is None:
        return
    required = (binary.recipe.sources / "go.mod").read_text()
    assert f"{binary.recipe.package} v{version}\n" in required
    sums = (binary.recipe.sources / "go.sum").read_text()
    assert f"\n{binary.recipe.package} v{version} h1:" in sums


@pytest.mark.parametrize("file", ["hello.zip", "hello.deb", "hello"])
def test_the_official_release_is_taken(
    file: str, make: Make, site: FileServer, binaries: Path
) -> None:
    binary = make(f"{site.url}/{file}")
    program = provide(binary, HERE)
    assert printed(program) == "hello 2.3.4\n"
    assert program.read_bytes() == SCRIPT
    assert left(binaries) == [f"hello-2.3.4-{HERE}"]
    assert left(program.parent) == [RECORD, "hello"]
    assert origin(binary, HERE) == f"official release {site.url}/{file}"


def test_another_architecture_s_release_is_kept_beside_this_one_s(
    make: Make, site: FileServer, binaries: Path
) -> None:
    here = make(f"{site.url}/hello")
    there = make(f"{site.url}/hello", arch=FOREIGN)
    assert provide(here, HERE) != provide(there, FOREIGN)
    assert left(binaries) == ["hello-2.3.4-amd64", "hello-2.3.4-arm64"]


@pytest.mark.parametrize("file", ["hello.zip", "hello.deb", "hello"])
def test_another_file_than_pinned_is_refused_and_nothing_stands_in_for_it(
    file: str,
    make: Make,
    site: FileServer,
    binaries: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        provide(make(f"{site.url}/{file}", checksum="0" * 64), HERE)
    said = capsys.readouterr().err
    assert "is not the expected file" in said
    assert "building" not in said
    assert left(binaries) == []


@pytest.mark.parametrize(
    ("file", "why"), [("empty.deb", "has no ./usr/bin/hello"), ("none.deb", "404")]
)
def test_a_program_that_is_only_fetched_is_not_built(
    file: str, why: str, make: Make, site: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        provide(replace(make(f"{site.url}/{file}"), recipe=None), HERE)
    said = capsys.readouterr().err
    assert why in said
    assert "building" not in said


def test_a_warm_cache_needs_no_network(make: Make, site: FileServer) -> None:
    program = provide(make(f"{site.url}/hello.zip"), HERE)
    elsewhere = make(f"{NOWHERE}/hello.zip")
    assert provide(elsewhere, HERE) == program
    assert site.asked == ["/hello.zip"]


@pytest.mark.parametrize("damage", ["change", "remove", "forget"])
def test_a_damaged_file_in_the_cache_is_refused(
    damage: str, make: Make, site: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = make(f"{site.url}/hello.zip")
    program = provide(binary, HERE)
    match damage:
        case "change":
            program.write_bytes(SCRIPT.replace(b"hello", b"hullo"))
        case "remove":
            program.unlink()
        case "forget":
            (program.parent / RECORD).write_text("{}")
    with pytest.raises(SystemExit):
        provide(binary, HERE)
    assert f"remove {program.parent} and try again" in capsys.readouterr().err
    shutil.rmtree(program.parent)
    assert printed(provide(binary, HERE)) == "hello 2.3.4\n"


def test_two_at_once_fetch_it_once(make: Make, site: FileServer, binaries: Path) -> None:
    binary = make(f"{site.url}/hello.zip")
    with ThreadPoolExecutor(4) as pool:
        programs = set(pool.map(lambda _: provide(binary, HERE), range(4)))
    assert [printed(program) for program in programs] == ["hello 2.3.4\n"]
    assert site.asked == ["/hello.zip"]
    assert left(binaries) == [f"hello-2.3.4-{HERE}"]


@needs_go
@pytest.mark.parametrize("url", [f"{NOWHERE}/hello.zip", "missing"])
def test_without_the_release_it_is_built(
    url: str,
    make: Make,
    site: FileServer,
    binaries: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    binary = make(f"{site.url}/missing" if url == "missing" else url)
    program = provide(binary, HERE)
    said = capsys.readouterr().err
    assert "not available" in said
    assert "building example.com/hello" in said
    assert printed(program) == "hello 2.3.4\n"
    assert left(binaries) == [f"hello-2.3.4-{HERE}"]
    assert left(program.parent) == [RECORD, "hello"]
    assert str(origin(binary, HERE)).startswith("built from example.com/hello with Go 1.")


@needs_go
def test_what_has_no_release_is_built_for_another_architecture(
    make: Make, site: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    program = provide(make(f"{site.url}/hello"), FOREIGN)
    assert f"no official release for {FOREIGN}" in capsys.readouterr().err
    machine = int.from_bytes(program.read_bytes()[18:20], "little")  # e_machine, elf(5)
    assert machine == {"amd64": 62, "arm64": 183}[FOREIGN]
    assert site.asked == []


@needs_go
def test_a_build_that_calls_itself_another_version_is_refused(
    make: Make, binaries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        provide(make(f"{NOWHERE}/hello", stamp="main.verzion"), HERE)
    assert "prints 'hello 2.3.4-dev'" in capsys.readouterr().err
    assert left(binaries) == []


def recipe_of(binary: Binary) -> Recipe:
    assert binary.recipe is not None
    return binary.recipe


@needs_go
def test_a_build_that_fails_shows_what_go_said(
    make: Make, binaries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = make(f"{NOWHERE}/hello")
    source = recipe_of(binary).sources / "main.go"
    source.write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(SystemExit):
        provide(binary, HERE)
    said = capsys.readouterr().err
    assert "undefined: missing" in said
    assert "copy" in said
    assert left(binaries) == []


@needs_go
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_ended_leaves_no_compiler_and_nothing_in_the_way(
    number: signal.Signals, make: Make, site: FileServer, binaries: Path, tmp_path: Path
) -> None:
    """Go runs its tools through one that never ends."""
    binary = make(f"{site.url}/hello")
    started = tmp_path / "started"
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\necho $$ >{started}.new\nmv {started}.new {started}\nsleep 600\n")
    tool.chmod(0o755)
    program = (
        "import sys; from pathlib import Path\n"
        "from artifacts.binaries import Binary, provide\n"
        "from artifacts.go import Recipe, architecture\n"
        "recipe = Recipe(Path(sys.argv[1]), 'example.com/hello')\n"
        "provide(Binary('hello', '2.3.4', 'version', {}, recipe), architecture())\n"
    )
    environment = {**os.environ, "GOFLAGS": f"-toolexec={tool}", "GOCACHE": str(tmp_path / "go")}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", program, str(recipe_of(binary).sources)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as building:
        wait_for(started.exists, "a tool of Go's", 60)
        building.send_signal(number)
        assert building.wait(60) != 0
    wait_for(lambda: not runs(int(started.read_text())), "the tool's end")
    assert left(binaries) == [] or number != signal.SIGINT
    provide(binary, HERE)
    assert left(binaries) == [f"hello-2.3.4-{HERE}"]


def test_what_needs_c_is_not_built_for_another_architecture(make: Make, tmp_path: Path) -> None:
    recipe = recipe_of(make(f"{NOWHERE}/hello", cgo=True))
    with pytest.raises(FetchError, match="take the official release"):
        build(recipe, FOREIGN, tmp_path / "hello")


def test_without_a_c_compiler_it_says_what_to_install(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    recipe = recipe_of(make(f"{NOWHERE}/hello", cgo=True))
    with pytest.raises(FetchError, match="apt-get install gcc libc6-dev"):
        build(recipe, HERE, tmp_path / "hello")


def test_an_unknown_architecture_is_refused(
    make: Make, site: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        provide(make(f"{site.url}/hello", arch="mips"), "mips")
    assert "only for amd64 and arm64" in capsys.readouterr().err


@needs_go
def test_path_s_go_is_used_if_it_is_new_enough(capsys: pytest.CaptureFixture[str]) -> None:
    found = provide_go("1.21")
    assert (str(found.command), found.cached) == (GO, False)
    with pytest.raises(FetchError, match="GOPROXY is off"):
        provide_go("999.0")
    assert "999.0 or later is needed" in capsys.readouterr().err


def test_without_go_and_without_a_proxy_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FetchError, match="install a Go that is new enough"):
        provide_go("1.21")
    assert left(cache() / "go") == []


def test_the_toolchain_comes_from_the_first_proxy_with_its_tools_executable(
    served: Path, site: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "v0.0.1-go1.99.0.linux-amd64"
    root = f"golang.org/toolchain@{name}"
    versions = served / "golang.org" / "toolchain" / "@v"
    versions.mkdir(parents=True)
    with zipfile.ZipFile(versions / f"{name}.zip", "w") as archive:
        for file in ("bin/go", "pkg/tool/linux_amd64/compile", "src/fmt/print.go"):
            archive.writestr(f"{root}/{file}", file)
    checksum = hashlib.sha256((versions / f"{name}.zip").read_bytes()).hexdigest()
    monkeypatch.setenv("GOPROXY", f"{site.url}/,direct")
    folder = tmp_path / "toolchain"
    folder.mkdir()
    with pytest.raises(ChecksumError):
        fetch_toolchain(folder, "1.99.0", "amd64", "0" * 64)
    assert left(folder) == []
    fetch_toolchain(folder, "1.99.0", "amd64", checksum)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"bin/go", "pkg/tool/linux_amd64/compile", "src/fmt/print.go"}
    for file in files:
        executable = bool((folder / file).stat().st_mode & stat.S_IXUSR)
        assert executable == (not file.startswith("src")), file


def script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/binaries to its end."""
    return subprocess.run(
        [ROOT / "scripts" / "binaries", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_script_lists_what_there_is(make: Make, site: FileServer) -> None:
    """A program is put where Fabio's is kept, which is all that the list goes by."""
    fabio = replace(make(f"{site.url}/hello.zip"), version=BINARIES["fabio"].version)
    provide(fabio, HERE).parent.rename(BINARIES["fabio"].home(HERE))
    listed = script("list")
    assert listed.returncode == 0, listed.stderr
    nomad, consul, fabio_line, *_ = listed.stdout.splitlines()
    assert nomad.split() == ["nomad", "1.11.0", HERE, "not", "in", "the", "cache"]
    assert consul.startswith("consul")
    assert fabio_line.split() == [
        *("fabio", "1.5.15", HERE),
        *("official", "release", f"{site.url}/hello.zip"),
    ]


@needs_go
def test_the_script_says_what_to_do_where_nothing_can_be_reached(
    tmp_path: Path, binaries: Path
) -> None:
    ended = script("get", "fabio", https_proxy=NOWHERE, GOMODCACHE=str(tmp_path / "modules"))
    assert ended.returncode == 1
    assert "not available" in ended.stderr
    assert "Go module proxy (GOPROXY)" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert left(binaries) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["get", "vault"], "nomad, consul, fabio"), (["get", "--arch", "mips"], "amd64")],
)
def test_the_script_explains_bad_arguments(arguments: list[str], words: str) -> None:
    ended = script(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
