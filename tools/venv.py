"""The virtual environment `.venv` with the pinned dependencies of one requirements file."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import NEEDED
from tools.debian import can_install, install
from tools.root import ROOT
from tools.say import fail, say

VENV = ROOT / ".venv"


def provide_venv(requirements: str, folder: Path = VENV, interpreter: str = sys.executable) -> Path:
    """Make `folder` hold `requirements/<requirements>.txt`; the path of its Python.

    A second call with the same file does nothing; one process at a time does anything. Ends the
    script with advice if it can't.
    """
    python = folder / "bin" / "python"
    file = ROOT / "requirements" / f"{requirements}.txt"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    stamp = folder / f"{requirements}.sha256"
    with _alone():
        if not python.exists():
            _create(folder, interpreter)
        if not stamp.exists() or stamp.read_text() != digest:
            say(f"installing the pinned packages of {file.relative_to(ROOT)} into {folder.name}")
            command = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes"]
            command += ["--disable-pip-version-check", "-r", str(file)]
            if subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode:
                fail("pip could not install them; is the package index reachable from here?")
            stamp.write_text(digest)
    return python


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock on the environments of this checkout, which ends with the process."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _create(folder: Path, interpreter: str) -> None:
    version = "import platform; print(platform.python_version())"
    asked = subprocess.run([interpreter, "-c", version], capture_output=True, text=True, check=True)
    say(f"creating {folder.name} with Python {asked.stdout.strip()}")
    command = [interpreter, "-m", "venv", "--clear", str(folder)]
    if not subprocess.run(command, check=False, capture_output=True).returncode:
        return
    if can_install():
        install(["python3-venv"])
        if not subprocess.run(command, check=False).returncode:
            return
    fail("python3 can't create virtual environments; on Debian: apt-get install python3-venv")


def other_pythons() -> dict[str, str]:
    """The supported Pythons on this machine but the running one, by version: 3.12 -> its path."""
    minors = range(NEEDED[1], NEEDED[1] + 10)
    return pythons(minor for minor in minors if minor != sys.version_info.minor)


def pythons(minors: Iterable[int]) -> dict[str, str]:
    """The Pythons 3 of these minor versions that run, on PATH or among pyenv's, by version."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found: dict[str, str] = {}
    for minor in minors:
        name = f"python3.{minor}"
        candidates = [shutil.which(name), *map(str, sorted(root.glob(f"versions/*/bin/{name}")))]
        works = (one for one in candidates if one is not None and _works(one))
        if (path := next(works, None)) is not None:
            found[f"3.{minor}"] = path
    return found


def _works(interpreter: str) -> bool:
    """Whether it runs: a version manager may have put something there that only complains."""
    tried = subprocess.run([interpreter, "-c", "import venv"], capture_output=True, check=False)
    return not tried.returncode


def run_in_venv(requirements: str, *arguments: str | os.PathLike[str]) -> int:
    """Run the environment's Python in the repository; its exit code."""
    python = provide_venv(requirements)
    return subprocess.run([python, *arguments], cwd=ROOT, check=False).returncode
