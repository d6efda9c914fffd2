"""A release: what a node needs to run the receiver and the load generator, in one folder.

It holds the third-party packages and `webhook/` and `tgibf/` of this checkout, byte-compiled. It
runs with `PYTHONPATH=<folder> python3 -m webhook`: no pip, no network, nothing to write.
"""

import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from artifacts.cache import cache
from artifacts.fetch import sha256
from artifacts.folder import digest, make_folder
from artifacts.packages import RECORD as PACKAGES_RECORD
from artifacts.packages import lock_file, provide_packages, target
from tools.root import ROOT
from tools.say import fail, say

RECORD = "release.json"
NAMES = ("webhook", "tgibf")  # the packages of this checkout
REQUIREMENTS = "tgibf"  # the lock file that has what both need
ARCHITECTURES = ("x86_64", "aarch64")
LEFT_OUT = ("__pycache__", "Dockerfile")
PYTHON = "3.11"  # Debian 12's
ALLOWED = re.compile(r"[0-9A-Za-z._-]{1,40}")


def releases() -> Path:
    """Where releases are kept, whether there are any or not."""
    return cache() / "releases"


def provide_release(
    version: str | None = None, python: str = PYTHON, arch: str = platform.machine()
) -> Path:
    """The folder of this checkout's release, made unless it is there as it should be.

    `version` is pyproject.toml's unless it is given; `python` is such as 3.11. What goes into a
    release is in its RECORD. Ends the script with advice if it can't be made. Raises OSError.
    """
    version = _project_version() if version is None else version
    _check(version, python, arch)
    folder = releases() / f"{version}-{target(python, arch)}"
    inputs = {
        "version": version,
        "python": python,
        "architecture": arch,
        "lock_sha256": sha256(lock_file(REQUIREMENTS)),
        "sources_sha256": digest(ROOT, _sources()),
    }

    def fill(new: Path) -> dict[str, Any]:
        packages = provide_packages(REQUIREMENTS, python, arch)
        say(f"making release {version} of {' and '.join(NAMES)} for Python {python} on {arch}")
        left_out = shutil.ignore_patterns(PACKAGES_RECORD)
        shutil.copytree(packages, new, ignore=left_out, dirs_exist_ok=True)
        for name in NAMES:
            shutil.copytree(ROOT / name, new / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
            text = f'"""Which version this is."""\n\nVERSION = "{version}"\n'
            (new / name / "version.py").write_text(text)
        return {"bytecode": _compile(new, python), **_commit()}

    if make_folder(folder, RECORD, inputs, fill):
        say(f"release {version} is in {folder}")
    else:
        say(f"release {version} is up to date, in {folder}")
    return folder


def _check(version: str, python: str, arch: str) -> None:
    if ALLOWED.fullmatch(version) is None:
        fail(f"{version!r} is not a version; use 1 to 40 letters, digits, dots, _ and -")
    if re.fullmatch(r"3\.\d{1,2}", python) is None:
        fail(f"{python!r} is not a version of Python; use two numbers, such as {PYTHON}")
    if arch not in ARCHITECTURES:
        fail(f"{arch!r} is not an architecture for releases; use {' or '.join(ARCHITECTURES)}")


def _project_version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _sources() -> list[Path]:
    """Every file of this checkout's packages that goes into a release."""
    found = [path for name in NAMES for path in (ROOT / name).rglob("*") if path.is_file()]
    return [path for path in found if not {*LEFT_OUT} & {*path.relative_to(ROOT).parts}]


def _compile(folder: Path, python: str) -> bool:
    """Put byte code beside every module, of a kind that is used unchecked; whether it could."""
    interpreter = _interpreter(python)
    if interpreter is None:
        say(f"no python{python} here to compile it ahead with: it will start a little slower")
        return False
    command = [interpreter, "-I", "-m", "compileall", "-q", "-s", str(folder)]
    command += ["--invalidation-mode=unchecked-hash", str(folder)]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        fail(f"{interpreter} could not compile it; its message is above")
    return True


def _interpreter(python: str) -> str | None:
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{python}")
    if (
        found is None
        or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode
    ):
        return None  # a version manager may have put something there that only complains
    return found


def _commit() -> dict[str, Any]:
    """What git says about the sources; None if it says nothing."""
    changes = _git("status", "--porcelain", "--", *NAMES, str(lock_file(REQUIREMENTS)))
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed": None if changes is None else bool(changes),
    }


def _git(*arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()
