"""Releases, made by scripts/package from a checkout of their own, and what runs from them."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from artifacts.packages import lock_for, provide_packages
from artifacts.release import PYTHON
from tests.support.checked_receiver import Receiver
from tools.root import ROOT
from webhook.settings import PREFIX

PARTS = ("artifacts", "commands", "requirements", "scripts", "tgibf", "tools", "webhook")
PROJECT_VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMMIT = ("-c", "user.name=A", "-c", "user.email=a@localhost", "commit", "--quiet", "-m", "all")
ARCH = os.uname().machine
UNREACHABLE = "http://127.0.0.1:1/"
UNCHECKED_HASH = b"\1\0\0\0"

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason=f"runs releases, which are for Python {PYTHON}"
)


def python() -> str:
    """The system's Python if it is the one that releases are for, this one otherwise."""
    system = shutil.which(f"python{PYTHON}", path="/usr/bin")
    return system or f"{sys.base_prefix}/bin/python{PYTHON}"


def packages() -> Path:
    """The third-party packages, from the cache or the package index; skips without both."""
    try:
        return provide_packages("tgibf", PYTHON, ARCH)
    except SystemExit:
        command = [sys.executable, "-m", "pip", "--retries=0", "index", "versions", "pip"]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("the packages are not in the cache, and the package index can't be reached")
        raise


class Checkout:
    """A checkout of the sources as they are here, committed, with a cache of its own.

    The cache has the third-party packages, and the package index can't be reached.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.cache = folder / "cache"
        for name in PARTS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.root / name, ignore=ignored)
        project = (ROOT / "pyproject.toml").read_text()
        (self.root / "pyproject.toml").write_text(project)
        self.kept = self.cache / "teracompra-events"
        self.kept.mkdir(parents=True)
        (self.kept / "packages").symlink_to(packages().parent)
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git(*COMMIT)

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def package(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its scripts/package."""
        environment = os.environ | {
            "XDG_CACHE_HOME": str(self.cache),
            "PIP_INDEX_URL": UNREACHABLE,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "",
        }
        return subprocess.run(
            [self.root / "scripts" / "package", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def release(self, *arguments: str) -> Path:
        """The folder that scripts/package makes and prints."""
        made = self.package(*arguments)
        assert made.returncode == 0, made.stderr
        folder = Path(made.stdout.strip())
        assert folder.parent == self.kept / "releases"
        return folder

    def releases(self) -> list[str]:
        """What lies where the releases are."""
        return sorted(path.name for path in (self.kept / "releases").glob("*"))

    @contextmanager
    def change(self, name: str, text: str) -> Iterator[None]:
        """Have the file `name` hold `text` for a while."""
        path = self.root / name
        before = path.read_text() if path.exists() else None
        path.write_text(text)
        try:
            yield
        finally:
            if before is None:
                path.unlink()
            else:
                path.write_text(before)


class Released(Receiver):
    """A receiver that runs from a release, in an empty environment and without site-packages."""

    def __init__(self, release: Path, store: Path) -> None:
        super().__init__(store)
        given = {name: value for name, value in self._environ.items() if name.startswith(PREFIX)}
        self._command = [*bare(release, store.parent, given), "webhook"]


def bare(release: Path, folder: Path, variables: Mapping[str, str] | None = None) -> list[str]:
    """The command, but for the module's name, that runs a module of `release` in `folder`."""
    given = {"PYTHONPATH": str(release), **(variables or {})}
    command = ["env", "--ignore-environment", f"--chdir={folder}"]
    command += [f"{name}={value}" for name, value in given.items()]
    return [*command, python(), "-S", "-m"]


def run(release: Path, folder: Path, *arguments: str) -> str:
    """What a module of `release` prints."""
    command = [*bare(release, folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def record(release: Path) -> dict[str, Any]:
    """The release's own record."""
    found: dict[str, Any] = json.loads((release / "release.json").read_text())
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout for all tests, which put back what they change and have versions of their own."""
    folder = tmp_path_factory.mktemp("package")
    yield Checkout(folder)
    shutil.rmtree(folder)  # a release has 40 MB


@pytest.fixture(scope="module")
def release(checkout: Checkout) -> Path:
    """The release that scripts/package makes without being told anything."""
    return checkout.release()


def test_a_receiver_and_a_generator_run_from_a_release_alone(
    release: Path, store_path: Path
) -> None:
    assert release.name == f"{PROJECT_VERSION}-cp311-{ARCH}"
    with Released(release, store_path) as receiver:
        assert receiver.post().json == {"accepted": 1}
        assert receiver.get("/").status == 200
        assert receiver.metric(f'webhook_build_info{{version="{PROJECT_VERSION}"}}') == 1
        burst = ("--bursts", "1", "--burst-size", "20")
        assert "acked" in run(release, store_path.parent, "tgibf", receiver.url, *burst)
        assert receiver.count() == 21


def test_its_packages_are_those_of_the_release(release: Path, tmp_path: Path) -> None:
    """The cluster's driver among them, with its C parts."""
    (tmp_path / "where.py").write_text(
        "import sys, sysconfig, webhook.cli, tgibf.cli\n"
        "from webhook.store.cassandra.ring import Ring, RingSettings\n"
        "Ring(RingSettings(('127.0.0.1',), 'none')).check()\n"
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()]\n"
        "standard = sysconfig.get_path('stdlib')\n"
        "print(*(file for file in files if file and not file.startswith(standard)))\n"
    )
    files = {Path(file) for file in run(release, tmp_path, "where").split()}
    assert len(files) > 100
    assert {file for file in files if not file.is_relative_to(release)} == {tmp_path / "where.py"}


def test_every_module_is_compiled_and_used_so_unchecked(release: Path) -> None:
    """A node mounts a release read-only, where nothing could be compiled at the start."""
    sources = list(release.rglob("*.py"))
    compiled = {Path(importlib.util.cache_from_source(str(source))) for source in sources}
    assert compiled == set(release.rglob("*.pyc"))
    assert all(path.read_bytes()[4:8] == UNCHECKED_HASH for path in compiled)
    assert len(sources) > 100
    assert not [path for path in release.rglob("*") if path.name in {"tests", "bin", "Dockerfile"}]


def test_made_again_from_the_same_it_is_left_alone(checkout: Checkout, release: Path) -> None:
    before = (release / "release.json").stat().st_ino
    again = checkout.package()
    assert "is up to date" in again.stderr
    assert again.stdout == f"{release}\n"
    assert (release / "release.json").stat().st_ino == before


def test_versions_of_one_checkout_stand_side_by_side(
    checkout: Checkout, release: Path, tmp_path: Path
) -> None:
    other = checkout.release("--version", "1.0_rc-2")
    assert {release.name, f"1.0_rc-2-cp311-{ARCH}"} <= set(checkout.releases())
    for module in ("webhook", "tgibf"):
        assert run(release, tmp_path, module, "--version") == f"{module} {PROJECT_VERSION}\n"
        assert run(other, tmp_path, module, "--version") == f"{module} 1.0_rc-2\n"
    assert record(release)["sources_sha256"] == record(other)["sources_sha256"]


def test_it_records_what_it_was_made_from(checkout: Checkout, release: Path) -> None:
    found = record(release)
    assert found["version"] == PROJECT_VERSION
    assert (found["python"], found["architecture"]) == (PYTHON, ARCH)
    assert (found["commit"], found["changed"]) == (checkout.git("rev-parse", "HEAD"), False)
    with checkout.change("tgibf/new.py", ""):
        assert record(checkout.release("--version", "new"))["changed"] is True


def test_changed_sources_take_the_place_of_what_runs(checkout: Checkout, store_path: Path) -> None:
    """1. A receiver runs. 2. Its release is made anew. 3. It goes on, and its successor is new.

    Result: nothing of the old release is left but what the receiver has in its hands.
    """
    release = checkout.release("--version", "changing")
    releases = checkout.releases()
    with checkout.change("webhook/page/index.html", "<!doctype html><title>Changed</title>"):
        with Released(release, store_path) as running:
            assert running.post().status == 200
            assert checkout.release("--version", "changing") == release
            assert running.post().status == 200
            assert running.count() == 2
        with Released(release, store_path) as successor:
            assert b"Changed" in successor.get("/").body
            assert successor.count() == 2
        assert "is up to date" in checkout.package("--version", "changing").stderr
    assert checkout.releases() == releases


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_a_damaged_release_is_made_anew(checkout: Checkout, damage: str) -> None:
    release = checkout.release("--version", "damaged")
    module = release / "webhook" / "window.py"
    match damage:
        case "change":
            module.write_text("")
        case "remove":
            module.unlink()
        case "add":
            (release / "random.py").write_text("")
    assert checkout.release("--version", "damaged") == release
    assert module.read_bytes() == (checkout.root / "webhook" / "window.py").read_bytes()
    assert not (release / "random.py").exists()


def test_what_a_killed_one_left_behind_is_cleared_away(checkout: Checkout, release: Path) -> None:
    left = release.parent / "+left"
    (left / "new").mkdir(parents=True)
    assert checkout.release("--version", "next").parent == left.parent
    assert not left.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--version", "../evil"], "1 to 40 letters"),
        (["--version", "a b"], "1 to 40 letters"),
        (["--version", ""], "1 to 40 letters"),
        (["--version", "1" * 41], "1 to 40 letters"),
        (["--python", "three"], "such as 3.11"),
        (["--arch", "vax"], "x86_64 or aarch64"),
    ],
)
def test_what_can_t_be_a_release_is_refused(
    checkout: Checkout, arguments: list[str], words: str
) -> None:
    releases = checkout.releases()
    refused = checkout.package(*arguments)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert checkout.releases() == releases


def test_packages_that_can_t_be_had_are_said_to_be_missing(checkout: Checkout) -> None:
    lock = (checkout.root / "requirements" / "tgibf.txt").read_text()
    stranger = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"
    with checkout.change("requirements/tgibf.txt", lock + stranger):
        refused = checkout.package("--version", "impossible")
    assert refused.returncode == 1
    assert "the package index reachable" in refused.stderr
    assert not [name for name in checkout.releases() if name.startswith(("+", "impossible"))]


def test_a_lock_s_conditions_are_held_against_the_release_s_python() -> None:
    lock = (
        "# made by a tool\n"
        "a==1 ; python_full_version < '3.12' \\\n    --hash=sha256:1\n    # via b\n"
        "a==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:2\n"
        "b==3 \\\n    --hash=sha256:3\n"
    )
    head, tail = "# made by a tool\n", "b==3 \\\n    --hash=sha256:3\n"
    one, two = "a==1 \\\n    --hash=sha256:1\n    # via b\n", "a==2 \\\n    --hash=sha256:2\n"
    assert lock_for("3.11", lock) == head + one + tail
    assert lock_for("3.12", lock) == head + two + tail
    assert lock_for("3.13", lock) == head + two + tail
