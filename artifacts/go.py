"""Programs built from source with Go.

A program's modules come through the Go module proxy, each checked against the go.sum beside the
program's go.mod. Go itself is the one on PATH if that is new enough; otherwise the official
toolchain from the same proxy, kept in the cache. Builds with the latter leave nothing else behind;
PATH's Go uses its own caches, as always.
"""

import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from artifacts.cache import cache
from artifacts.fetch import FetchError, fetch
from artifacts.folder import make_folder
from tools.debian import can_install, install
from tools.guarded import guarded
from tools.say import say

VERSION = "1.26.8"
TOOLCHAINS = {  # SHA-256 of the module's zip, by architecture
    "amd64": "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7",
    "arm64": "02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99",
}
PROXY = "https://proxy.golang.org"
RECORD = "toolchain.json"
SHOW_EVERY_SECONDS = 5.0
LINES_SHOWN = 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # Go's names of what others call so
COMPILER_PACKAGES = ["gcc", "libc6-dev"]


@dataclass(frozen=True)
class Recipe:
    """How a program is built: the module in the folder `sources` requires the package."""

    sources: Path
    package: str
    tags: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)  # strings set at link time
    cgo: bool = False
    stripped: bool = False
    """Whether symbols and debugging information are left out."""


@dataclass(frozen=True)
class Go:
    """A go command, and whether it is the one kept in the cache."""

    command: Path
    version: str
    cached: bool = False


def architecture(name: str | None = None) -> str:
    """Go's name of an architecture, by default this machine's."""
    name = name or platform.machine()
    return ARCHITECTURES.get(name, name)


def build(recipe: Recipe, arch: str, target: Path) -> str:
    """Make `target` the program for `arch`, which takes minutes; the version of Go that did it.

    Shows the progress on stderr. Raises FetchError.
    """
    if recipe.cgo:
        if arch != architecture():
            raise FetchError(
                f"{recipe.package} has parts in C, which this machine can't build for {arch}: "
                "take the official release, or build it on such a machine"
            )
        _provide_compiler()
    go = provide_go(_required(recipe.sources))
    say(f"building {recipe.package} with Go {go.version}; this may take minutes")
    with tempfile.TemporaryDirectory(
        prefix="build-", dir=target.parent, ignore_cleanup_errors=True
    ) as directory:
        scratch = Path(directory)
        environment = _environment(go, recipe, arch, scratch)
        options = ["-mod=readonly", f"-tags={recipe.tags}", "-trimpath", "-buildvcs=false"]
        values = " ".join(
            [
                *(["-s", "-w"] if recipe.stripped else []),
                *(f"-X {name}={value}" for name, value in recipe.variables.items()),
            ]
        )

        def run(verb: str, *arguments: str, show: Callable[[list[str]], str]) -> list[str]:
            command = [str(go.command), verb, *options, *arguments, recipe.package]
            return _run(command, recipe.sources, environment, scratch / "log", show)

        listed = run("list", "-deps", show=lambda lines: f"{_downloads(lines)} modules fetched")
        most = len(listed) - _downloads(listed)
        run(
            "build",
            "-v",
            f"-ldflags={values}",
            f"-o={target}",
            show=lambda lines: f"{len(lines):,} packages compiled, of {most:,} at most",
        )
    return go.version


def provide_go(at_least: str) -> Go:
    """A Go of this version or a later one. Raises FetchError."""
    found = _on_path()
    if found is not None and _number(found.version) >= _number(at_least):
        return found
    here = "there is no Go here" if found is None else f"{found.command} is Go {found.version}"
    say(f"{here}; {at_least} or later is needed: using Go {VERSION} from the cache")
    return _from_cache()


def _on_path() -> Go | None:
    command = shutil.which("go")
    if command is None:
        return None
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    asked = subprocess.run(
        [command, "env", "GOVERSION"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    version = re.search(r"go(\d+\.\d+(\.\d+)?)", asked.stdout)
    return None if version is None else Go(Path(command), version[1])


def _from_cache() -> Go:
    """The official toolchain, fetched if need be. Raises FetchError."""
    arch, system = architecture(), platform.system()
    if arch not in TOOLCHAINS or system != "Linux":
        raise FetchError(f"no Go for {system} on {arch} is pinned: install one, put it on PATH")
    home = cache() / "go" / f"{VERSION}-{arch}"
    inputs = {"version": VERSION, "architecture": arch, "zip_sha256": TOOLCHAINS[arch]}

    def fill(new: Path) -> dict[str, Any]:
        fetch_toolchain(new, VERSION, arch, TOOLCHAINS[arch])
        return {}

    make_folder(home, RECORD, inputs, fill)
    return Go(home / "bin" / "go", VERSION, cached=True)


def toolchain(arch: str, version: str = VERSION) -> str:
    """The version of the module golang.org/toolchain that is the official Go for `arch`."""
    return f"v0.0.1-go{version}.linux-{arch}"


def fetch_toolchain(folder: Path, version: str, arch: str, checksum: str) -> None:
    """Put an official toolchain into `folder`, from the Go module proxy. Raises FetchError."""
    name = toolchain(arch, version)
    url = f"{proxy()}/golang.org/toolchain/@v/{name}.zip"
    archive = folder / "toolchain.zip"
    say(f"fetching {url} (70 MB)")
    fetch(url, archive, checksum)
    with zipfile.ZipFile(archive) as contents:
        contents.extractall(folder)
    archive.unlink()
    root = folder / "golang.org" / f"toolchain@{name}"
    for path in root.iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(folder / "golang.org")
    for directory in ("bin", "pkg/tool"):  # a module's zip has no permissions
        for path in (folder / directory).rglob("*"):
            path.chmod(0o755)


def proxy() -> str:
    """The first of GOPROXY. Raises FetchError if that is no proxy."""
    setting = os.environ.get("GOPROXY") or PROXY
    first = re.split("[,|]", setting)[0].strip().rstrip("/")
    if first in {"off", "direct"}:
        raise FetchError(
            f"Go {VERSION} is fetched from a module proxy, and GOPROXY is {setting}: begin it with "
            "a proxy, or install a Go that is new enough"
        )
    return first


def _environment(go: Go, recipe: Recipe, arch: str, scratch: Path) -> dict[str, str]:
    """What Go runs with; nothing of the surroundings chooses another module or toolchain."""
    environment = {
        **os.environ,
        "CGO_ENABLED": "1" if recipe.cgo else "0",
        "GOARCH": arch,
        "GOOS": "linux",
        "GOTMPDIR": str(scratch),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    if go.cached:
        environment.pop("GOROOT", None)
        environment.setdefault("GOCACHE", str(scratch / "cache"))
        environment.setdefault("GOPATH", str(scratch / "path"))
        environment["GOFLAGS"] = f"{os.environ.get('GOFLAGS', '')} -modcacherw"  # to be removed
        environment["XDG_CONFIG_HOME"] = str(scratch / "config")  # for Go's counters
    return environment


def _run(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    show: Callable[[list[str]], str],
) -> list[str]:
    """Run Go to its end, showing what `show` makes of its lines so far; all of its lines.

    Raises FetchError with the last lines if it fails.
    """
    began = time.monotonic()
    with (
        log.open("w") as output,
        subprocess.Popen(
            guarded(command),
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process,
    ):
        try:
            while process.poll() is None:
                try:
                    process.wait(SHOW_EVERY_SECONDS)
                except subprocess.TimeoutExpired:
                    seconds = round(time.monotonic() - began)
                    text = f"    {show(_lines(log))}, {seconds // 60}:{seconds % 60:02}"
                    print(text, file=sys.stderr, flush=True)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = _lines(log)
    if process.returncode:
        raise FetchError("Go said:\n" + "\n".join(lines[-LINES_SHOWN:]))
    return lines


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


def _downloads(lines: list[str]) -> int:
    return sum(line.startswith("go: downloading ") for line in lines)


def _required(sources: Path) -> str:
    """The version of Go that a module asks for."""
    line = re.search(r"^go (\S+)$", (sources / "go.mod").read_text(), re.MULTILINE)
    if line is None:
        raise FetchError(f"{sources / 'go.mod'} does not say which Go it needs")
    return line[1]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _provide_compiler() -> None:
    """Have a C compiler, installed if this user may. Raises FetchError."""
    if _compiles():
        return
    if can_install():
        try:
            install(COMPILER_PACKAGES)
        except subprocess.CalledProcessError as error:
            raise FetchError(f"no C compiler could be installed: {error}") from error
    if not _compiles():
        wanted = " ".join(COMPILER_PACKAGES)
        raise FetchError(f"building it needs a C compiler; on Debian: apt-get install {wanted}")


def _compiles() -> bool:
    """Whether there is a C compiler that has the C library's headers."""
    compiler = shlex.split(os.environ.get("CC") or "gcc")
    program = "#include <stdlib.h>\n"
    try:
        tried = subprocess.run(
            [*compiler, "-fsyntax-only", "-x", "c", "-"],
            input=program,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0
