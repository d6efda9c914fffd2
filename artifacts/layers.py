"""The layers that the product's images share, and the programs', in the cache.

They have what the Dockerfiles have: Debian's own Python instead of the official image's (which is
in a registry), the pinned wheels, a Java of Cassandra's modules, Cassandra's jars.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from artifacts import cassandra
from artifacts.binaries import Binary, provide
from artifacts.cache import cache
from artifacts.fetch import sha256
from artifacts.folder import make_folder
from artifacts.go import architecture
from artifacts.oci import Layer, write_layer
from tools.root import ROOT
from tools.say import fail, say
from tools.venv import provide_venv

SUITE = "bookworm"
PYTHON = "3.11"  # of that suite
PACKAGES = "python3"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # wheels' names of architectures
GLIBC = range(17, 37)  # of that suite: what was built for any of these runs
UNUSED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
)
JRE = ("--add-modules", "ALL-MODULE-PATH", "--strip-debug", "--no-man-pages", "--no-header-files")
RECORD = "layer.json"
Fill = Callable[[Path], tuple[Mapping[str, Path], Mapping[str, int]]]
"""Puts files into a folder; which of them come to which paths, and the empty folders."""


def debian_python() -> Layer:
    """A small Debian with its Python. It takes about a minute the first time."""

    def fill(folder: Path) -> tuple[Mapping[str, Path], Mapping[str, int]]:
        tree = folder / "tree"
        say(f"making a Debian with Python (debootstrap {SUITE})")
        options = ["--force-check-gpg", "--variant=minbase", f"--include={PACKAGES}"]
        _must(["debootstrap", *options, SUITE, str(tree)])
        for name in UNUSED:
            shutil.rmtree(tree / name, ignore_errors=True)
        return {"/": tree}, {"/data": 10001}

    return _layer("debian-python", {"suite": SUITE, "packages": PACKAGES}, fill)


def wheels(name: str) -> Layer:
    """The packages of requirements/NAME.txt, in /packages."""
    file = ROOT / "requirements" / f"{name}.txt"

    def fill(folder: Path) -> tuple[Mapping[str, Path], Mapping[str, int]]:
        tree = folder / "tree"
        say(f"fetching the wheels of {file.relative_to(ROOT)}")
        machine = MACHINES[architecture()]
        command = [str(provide_venv("webhook")), "-m", "pip", "install", "--quiet"]
        command += ["--disable-pip-version-check", "--require-hashes", "--no-compile"]
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
        command += [f"--platform=manylinux_2_{one}_{machine}" for one in reversed(GLIBC)]
        command += [f"--platform=manylinux2014_{machine}"]
        _must([*command, "--target", str(tree), "--requirement", str(file)])
        return {"/packages": tree}, {}

    return _layer(f"wheels-{name}", {"requirements": sha256(file), "python": PYTHON}, fill)


def java() -> Layer:
    """The JDK's modules as a runtime in /jre."""
    home = str(Path(cassandra.java()).resolve())
    shown = subprocess.run([home, "-version"], capture_output=True, text=True, check=True).stderr

    def fill(folder: Path) -> tuple[Mapping[str, Path], Mapping[str, int]]:
        tree = folder / "tree"
        say("making a Java runtime (jlink)")
        _must(["jlink", *JRE, "--compress", "1", "--output", str(tree)])
        return {"/jre": tree}, {}

    return _layer("java", {"java": shown}, fill)


def cassandra_jars() -> Layer:
    """Cassandra where `scripts/cassandra` looks for it with XDG_CACHE_HOME=/cache."""
    home = cassandra.provide_cassandra().parent
    at = f"/cache/teracompra-events/{home.name}"

    def fill(_: Path) -> tuple[Mapping[str, Path], Mapping[str, int]]:
        trees = {f"{at}/{name}": home / name for name in ("lib", cassandra.SUMS)}
        return trees, {f"{at}/triggers": 0, cassandra_data: 10001}

    cassandra_data = "/var/lib/cassandra"
    return _layer("cassandra", {"jars": sha256(home / cassandra.SUMS)}, fill)


def program(binary: Binary) -> Layer:
    """A program that needs nothing else, in the root folder."""
    path = provide(binary, architecture())
    inputs = {"program": str(binary), "sha256": sha256(path)}
    return _layer(binary.name, inputs, lambda _: ({f"/{binary.name}": path}, {}))


def _layer(name: str, inputs: Mapping[str, Any], fill: Fill) -> Layer:
    """The layer of that name, made unless it is there from the same inputs."""
    home = cache() / "layers" / f"{name}-{architecture()}"

    def make(new: Path) -> dict[str, Any]:
        work = new / "work"
        work.mkdir()
        trees, folders = fill(work)
        write_layer(new / "layer.tar", trees, folders)
        shutil.rmtree(work)
        return {"tar_sha256": sha256(new / "layer.tar")}

    try:
        make_folder(home, RECORD, inputs, make)
    except OSError as error:
        fail(f"{home}: {error}; XDG_CACHE_HOME names another place for the cache")
    record = json.loads((home / RECORD).read_text())
    return Layer(home / "layer.tar", record["tar_sha256"])


def _must(command: list[str]) -> None:
    """Run it; ends the script with its last lines if it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        fail(f"{command[0]}: {error.strerror}; install it and try again")
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()[-20:]
        fail("\n".join([f"{command[0]} ended with {done.returncode}:", *lines]))
