"""The pinned third-party packages, unpacked for one Python and one kind of machine."""

import operator
import re
import shutil
import subprocess
import sys
from pathlib import Path

from artifacts.cache import cache
from artifacts.fetch import sha256
from artifacts.folder import make_folder
from tools.root import ROOT
from tools.say import fail, say
from tools.venv import provide_venv

RECORD = "packages.json"
NOT_RUN = ("bin", "test", "tests")
NEWEST_GLIBC = 36  # 2.36, of Debian 12
MARKER = re.compile(r" ; python_full_version (<|>=) '(\d+)\.(\d+)'")
COMPARE = {"<": operator.lt, ">=": operator.ge}


def target(python: str, arch: str) -> str:
    """Such as cp311-x86_64, from 3.11 and x86_64."""
    return f"cp{python.replace('.', '')}-{arch}"


def lock_file(requirements: str) -> Path:
    """The file of pinned packages of that name."""
    return ROOT / "requirements" / f"{requirements}.txt"


def provide_packages(requirements: str, python: str, arch: str) -> Path:
    """The folder of the packages in a lock file, fetched if need be and checked by its hashes.

    There is one for each content of the file, in the cache. Ends the script if pip can't have
    them. Raises OSError.
    """
    checksum = sha256(lock_file(requirements))
    folder = cache() / "packages" / f"{checksum[:16]}-{target(python, arch)}"
    inputs = {"lock_sha256": checksum, "python": python, "architecture": arch}

    def fill(new: Path) -> dict[str, str]:
        _install(new, requirements, python, arch)
        for path in [path for path in new.rglob("*") if path.is_dir() and path.name in NOT_RUN]:
            shutil.rmtree(path, ignore_errors=True)  # it may be gone with the one around it
        return {}

    make_folder(folder, RECORD, inputs, fill)
    return folder


def lock_for(python: str, lock: str) -> str:
    """The requirements in `lock` that are for this Python, without their conditions.

    pip would check the conditions against the Python that it runs on itself.
    """
    kept = []
    for requirement in re.split(r"\n(?=\w)", lock):
        condition = MARKER.search(requirement.partition("\n")[0])
        if condition is None:
            kept.append(requirement)
            continue
        bound = (int(condition[2]), int(condition[3]))
        if COMPARE[condition[1]](tuple(map(int, python.split("."))), bound):
            kept.append(requirement.replace(condition[0], "", 1))
    return "\n".join(kept)


def _install(folder: Path, requirements: str, python: str, arch: str) -> None:
    pip = provide_venv(requirements)
    say(f"fetching the packages of requirements/{requirements}.txt for Python {python} on {arch}")
    command = [str(pip), "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--platform=manylinux_2_{minor}_{arch}" for minor in range(NEWEST_GLIBC, 4, -1)]
    command += [f"--platform=manylinux2014_{arch}", f"--target={folder}"]
    command += ["--progress-bar=off", "--root-user-action=ignore", "--disable-pip-version-check"]
    command += ["--ignore-requires-python"]  # pip means its own; the lock is for 3.11 and later
    command += ["--requirement=/dev/stdin"]
    lock = lock_for(python, lock_file(requirements).read_text())
    if subprocess.run(command, check=False, stdout=sys.stderr, input=lock, text=True).returncode:
        fail("pip could not fetch them; its message is above. Is the package index reachable?")
