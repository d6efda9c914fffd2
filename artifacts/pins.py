"""What this checkout pins of others, and when each was released, by the index that has it."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from artifacts import cassandra, go
from artifacts.binaries import BINARIES
from artifacts.fetch import FetchError
from tools.root import ROOT

PYPI = "https://pypi.org/simple"
PYPI_JSON = "application/vnd.pypi.simple.v1+json"  # PEP 691; files' times are PEP 700
SECONDS = 20.0
PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
REQUIREMENTS = re.compile(r"^require(?: \((.*?)^\)| (\S+ \S+))", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"^\s*(\S+) (v\S+)(?: //(?! indirect).*)?$", re.MULTILINE)
IMAGE = re.compile(r"^FROM ([\w./-]+):([\w.-]+)", re.MULTILINE)


class UnknownDateError(Exception):
    """When something was released can't be known; the message says why."""


@dataclass(frozen=True)
class Pin:
    """Something of others in the version that is used here."""

    kind: str
    name: str
    version: str
    files: tuple[str, ...]
    """Those that name the version, relative to the checkout."""
    url: str = ""
    """Of an official file, for what is neither of PyPI nor a Go module."""

    def released(self) -> datetime:
        """When the index got it. Asks the network; raises UnknownDateError."""
        try:
            if self.kind == "python":
                return _released_on_pypi(self.name, self.version)
            if self.kind == "go":
                return _released_module(self.name, self.version)
            return _last_modified(self.url)
        except FetchError as error:
            raise UnknownDateError(str(error)) from error
        except urllib.error.HTTPError as error:
            with error:
                raise UnknownDateError(f"{error.url}: {error.code} {error.reason}") from error
        except (OSError, ValueError, KeyError) as error:
            raise UnknownDateError(f"{type(error).__name__}: {error}") from error


def pins() -> list[Pin]:
    """All of them: packages, Go modules, servers' archives and the images to build upon."""
    return [*_packages(), *_modules(), *_archives(), *_images()]


def _packages() -> Iterator[Pin]:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    return _found("python", files, PACKAGE.findall)


def _modules() -> Iterator[Pin]:
    files = sorted((ROOT / "artifacts" / "sources").glob("**/go.mod"))
    yield from _found("go", files, required)
    yield Pin("go", "golang.org/toolchain", go.toolchain(go.architecture()), ("artifacts/go.py",))


def _archives() -> Iterator[Pin]:
    file = "artifacts/cassandra.py"
    yield Pin("archive", "cassandra", cassandra.VERSION, (file,), cassandra.ARCHIVE_URL)
    for binary in BINARIES.values():
        if binary.recipe is None:  # the others are Go modules
            url = binary.releases["amd64"].url
            yield Pin("archive", binary.name, binary.version, ("artifacts/binaries.py",), url)


def _images() -> Iterator[Pin]:
    return _found("image", sorted(ROOT.glob("*/Dockerfile")), IMAGE.findall)


def required(go_mod: str) -> list[tuple[str, str]]:
    """The modules that a go.mod itself requires, and their versions."""
    blocks = ("".join(found.groups(default="")) for found in REQUIREMENTS.finditer(go_mod))
    return [module for block in blocks for module in MODULE.findall(block)]


def _found(
    kind: str, files: list[Path], named: Callable[[str], list[tuple[str, str]]]
) -> Iterator[Pin]:
    """What the files name, once for each version."""
    where: dict[tuple[str, str], list[str]] = {}
    for file in files:
        for name, version in dict.fromkeys(named(file.read_text())):
            where.setdefault((name, version), []).append(str(file.relative_to(ROOT)))
    for (name, version), names in sorted(where.items()):
        yield Pin(kind, name, version, tuple(names))


def _released_on_pypi(name: str, version: str) -> datetime:
    index = os.environ.get("PIP_INDEX_URL", PYPI).rstrip("/")
    request = urllib.request.Request(f"{index}/{name}/", headers={"Accept": PYPI_JSON})  # noqa: S310
    files = json.loads(_answer(request))["files"]
    times = [file["upload-time"] for file in files if _is_of(file["filename"], name, version)]
    if not times:
        raise UnknownDateError(f"{index} does not say when {name} {version} came")
    return datetime.fromisoformat(min(times))


def _is_of(filename: str, name: str, version: str) -> bool:
    """Whether a wheel or a source archive is of that version, however the name is written."""
    begin, given = (re.sub(r"[-_.]+", "-", one).lower() for one in (f"{name}-{version}-", filename))
    return re.match(f"{re.escape(begin)}(cp|pp|py|tar|zip)", given) is not None


def _released_module(name: str, version: str) -> datetime:
    escaped = re.sub("[A-Z]", lambda letter: f"!{letter[0].lower()}", f"{name}/@v/{version}")
    request = urllib.request.Request(f"{go.proxy()}/{escaped}.info")  # noqa: S310
    return datetime.fromisoformat(json.loads(_answer(request))["Time"])


def _last_modified(url: str) -> datetime:
    if not url:
        raise UnknownDateError("a tag moves: its registry has another image from time to time")
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        found = answer.headers.get("Last-Modified")
    if not found:
        raise UnknownDateError(f"{url} does not say when it came")
    return parsedate_to_datetime(found).astimezone(UTC)


def _answer(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content
