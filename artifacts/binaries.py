"""The servers' programs (Nomad, Consul, Fabio and others) in a cache outside the repository.

Each comes from, in this order: the cache; the official release, checked against its SHA-256; its
source, built with Go. A file with an unexpected checksum ends the search: no other source is tried.
Every use checks what is in the cache against the SHA-256 that was recorded on arrival. This detects
damage, but not somebody who may write there.
"""

import json
import platform
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj

from artifacts import debian
from artifacts.cache import cache
from artifacts.fetch import ChecksumError, FetchError, fetch
from artifacts.folder import digest, make_folder
from artifacts.go import Recipe, architecture, build
from tools.root import ROOT
from tools.say import fail, say

SOURCES = ROOT / "artifacts" / "sources"
RECORD = "binary.json"
ARCHITECTURES = ("amd64", "arm64")
UNREACHABLE_SECONDS = 5.0


@dataclass(frozen=True)
class Release:
    """An official file: the program itself, or a zip or a Debian package that has it."""

    url: str
    sha256: str


@dataclass(frozen=True)
class Binary:
    """A program: its official files by architecture, and how it is built if there is none."""

    name: str
    version: str
    show_version: str  # the argument that makes the program print its version
    releases: Mapping[str, Release]
    recipe: Recipe | None = None  # None: it is only fetched

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def home(self, arch: str) -> Path:
        """Its folder in the cache, whether it is there yet or not."""
        return cache() / "binaries" / f"{self.name}-{self.version}-{arch}"


def _hashicorp(name: str, version: str, checksums: Mapping[str, str]) -> dict[str, Release]:
    site = f"https://releases.hashicorp.com/{name}/{version}"
    return {
        arch: Release(f"{site}/{name}_{version}_linux_{arch}.zip", checksum)
        for arch, checksum in checksums.items()
    }


NOMAD = Binary(
    "nomad",
    "1.11.0",
    "version",
    _hashicorp(
        "nomad",
        "1.11.0",
        {
            "amd64": "ea4beab31494b810f40e8b2ed5fd74950348546879570780406e6647363e32ba",
            "arm64": "f6ea3bb94bdee15bd0d853a68d6212dc7aa42b78476ddee33667205378edae99",
        },
    ),
    Recipe(
        SOURCES / "nomad",
        "github.com/hashicorp/nomad",
        tags="ui,release",
        variables={"github.com/hashicorp/nomad/version.Version": "1.11.0"},
        cgo=True,  # the exec driver enters namespaces before Go's runtime starts
    ),
)
CONSUL = Binary(
    "consul",
    "1.21.0",
    "version",
    _hashicorp(
        "consul",
        "1.21.0",
        {
            "amd64": "e916e30904eedfa7ee2e2a378b5e8a9a374f2f351e645aa4c0a03adc15dabaec",
            "arm64": "59d04f948d4b04a1d836e69a441e4c3ffb74b41f710329c9ba0dc99392b6f2d5",
        },
    ),
    Recipe(SOURCES / "consul", "github.com/hashicorp/consul"),  # it holds its version in a file
)
FABIO = Binary(
    "fabio",
    "1.5.15",
    "-v",
    {
        "amd64": Release(
            "https://github.com/fabiolb/fabio/releases/download/v1.5.15/"
            "fabio-1.5.15-go1.15.5-linux_amd64",
            "14c7a02ca95fb00a4f3010eab4e3c0e354a3f4953d2a793cb800332012f42066",
        )
    },
    Recipe(
        SOURCES / "fabio",
        "github.com/fabiolb/fabio",
        variables={"main.version": "1.5.15"},  # the source says 1.5.14
    ),
)
AUTOSCALER = Binary(
    "nomad-autoscaler",
    "0.5.0",
    "--version",
    {},
    Recipe(
        SOURCES / "autoscaler",
        "github.com/hashicorp/nomad-autoscaler",
        # Without it the program calls itself 0.5.0-dev.
        variables={"github.com/hashicorp/nomad-autoscaler/version.GitDescribe": "v0.5.0"},
    ),
)


def _of_prometheus(name: str) -> Binary:
    """A program of Debian's package: as a Go module Prometheus has no user interface."""
    site = "http://deb.debian.org/debian/pool/main/p/prometheus"
    checksums = {
        "amd64": "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
        "arm64": "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
    }
    releases = {
        arch: Release(f"{site}/prometheus_2.42.0+ds-5+deb12u1_{arch}.deb", checksum)
        for arch, checksum in checksums.items()
    }
    return Binary(name, "2.42.0", "--version", releases)


PROMETHEUS, PROMTOOL = _of_prometheus("prometheus"), _of_prometheus("promtool")
BINARIES = {
    binary.name: binary for binary in (NOMAD, CONSUL, FABIO, AUTOSCALER, PROMETHEUS, PROMTOOL)
}


def provide_binary(name: str, arch: str | None = None) -> Path:
    """The program `name` for this machine or for `arch`, such as arm64 or aarch64.

    It is fetched or built if need be. Ends the script with advice if it is not available.
    """
    return provide(BINARIES[name], architecture(arch))


def provide(binary: Binary, arch: str) -> Path:
    """The program's file for `arch`, by Go's name; as `provide_binary`."""
    if arch not in ARCHITECTURES:
        fail(f"there is no {binary} for {arch} here, only for {' and '.join(ARCHITECTURES)}")
    home = binary.home(arch)
    try:
        if not (home / RECORD).exists():
            inputs = {"name": binary.name, "version": binary.version, "architecture": arch}
            make_folder(home, RECORD, inputs, lambda new: {"origin": _fill(new, binary, arch)})
        _verify(home, binary.name)
    except ChecksumError as error:
        fail(str(error))
    except FetchError as error:
        fail(
            f"{binary} for {arch} could not be fetched or built: {error}\n"
            "       Where neither the release site nor a Go module proxy (GOPROXY) is in reach,\n"
            f"       copy {home} from another machine."
        )
    except OSError as error:
        fail(f"{home}: {error}; XDG_CACHE_HOME names another place for the cache")
    return home / binary.name


def origin(binary: Binary, arch: str) -> str | None:
    """Where the program in the cache came from; None if there is none."""
    try:
        return str(json.loads((binary.home(arch) / RECORD).read_text())["origin"])
    except (OSError, ValueError, KeyError):
        return None


def cached(binary: Binary) -> Path | None:
    """The program for this machine, if it is in the cache."""
    arch = architecture()
    return binary.home(arch) / binary.name if origin(binary, arch) is not None else None


def _verify(home: Path, name: str) -> None:
    """Check the program against the checksum in its record. Raises ChecksumError."""
    try:
        expected = json.loads((home / RECORD).read_text())["files_sha256"]
        whole = digest(home, [home / name]) == expected
    except (FileNotFoundError, ValueError, KeyError):
        whole = False
    if not whole:
        raise ChecksumError(
            f"{home / name} has changed since it came there: remove {home} and try again"
        )


def _fill(folder: Path, binary: Binary, arch: str) -> str:
    """Put the program into `folder`; where it came from. Raises FetchError."""
    target = folder / binary.name
    release = binary.releases.get(arch)
    if release is None:
        say(f"{binary} has no official release for {arch} with a known checksum")
    else:
        try:
            _fetch_release(release, target)
            return f"official release {release.url}"
        except ChecksumError:
            raise
        except FetchError as error:
            if binary.recipe is None:
                raise
            say(f"not available: {error}")
    if binary.recipe is None:
        raise FetchError("there is no other source")
    version = build(binary.recipe, arch, target)
    target.chmod(0o755)
    if arch == architecture() and platform.system() == "Linux":
        _check_version(binary, target)
    return f"built from {binary.recipe.package} with Go {version}"


def _fetch_release(release: Release, target: Path) -> None:
    say(f"fetching {release.url}")
    if release.url.endswith(".deb"):
        with tempfile.TemporaryDirectory(dir=target.parent) as directory:
            package = Path(directory) / "package.deb"
            fetch(release.url, package, release.sha256, UNREACHABLE_SECONDS)
            debian.take(package, f"./usr/bin/{target.name}", target)
    elif not release.url.endswith(".zip"):
        fetch(release.url, target, release.sha256, UNREACHABLE_SECONDS)
    else:
        with tempfile.TemporaryDirectory(dir=target.parent) as directory:
            archive = Path(directory) / "release.zip"
            fetch(release.url, archive, release.sha256, UNREACHABLE_SECONDS)
            with (
                zipfile.ZipFile(archive) as contents,
                contents.open(target.name) as program,
                target.open("wb") as file,
            ):
                copyfileobj(program, file)
    target.chmod(0o755)


def _check_version(binary: Binary, program: Path) -> None:
    """Raises FetchError if the built program prints otherwise: linking ignores a wrong name."""
    command = [str(program), binary.show_version]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"the built program does not run: {error}") from error
    shown = (asked.stdout + asked.stderr).strip()
    if not re.search(rf"(?<![\w.-])v?{re.escape(binary.version)}(?![\w.+-])", shown):
        raise FetchError(f"the built program prints {shown!r}, not {binary.version}")
