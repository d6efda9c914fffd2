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

    A second call with the same file does nothing; one process at a time does anything. What was
    cut short is begun again. Ends the script with advice if it can't.
    """
    python = folder / "bin" / "python"
    file = ROOT / "requirements" / f"{requirements}.txt"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    stamp = folder / f"{requirements}.sha256"
    with _alone() as lock:
        if not _is_whole(folder):
            _create(folder, interpreter, lock)
        if not stamp.exists() or stamp.read_text() != digest:
            _refuse_unwritable(folder)
            say(f"installing the pinned packages of {file.relative_to(ROOT)} into {folder.name}")
            command = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes"]
            command += ["--disable-pip-version-check", "-r", str(file)]
            stdin, fds = subprocess.DEVNULL, (lock,)
            if subprocess.run(command, check=False, stdin=stdin, pass_fds=fds).returncode:
                fail("pip could not install them; is the package index reachable from here?")
            stamp.write_text(digest)
    return python


@contextmanager
def _alone() -> Iterator[int]:
    """Hold the lock on the environments of this checkout.

    It ends with the process, and with those that it started and gave the lock's descriptor to:
    what a kill leaves behind may still write.
    """
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another script that prepares {VENV.name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _is_whole(folder: Path) -> bool:
    """Whether it was made to its end: pip comes last, and of pip the name of what installed it."""
    pip = folder.glob("lib/python*/site-packages/pip-*.dist-info/INSTALLER")
    return (folder / "bin" / "python").exists() and any(pip)


def _create(folder: Path, interpreter: str, lock: int) -> None:
    if os.pathsep in str(folder):
        fail(
            f"no virtual environment can be in {folder.parent}, whose path has a {os.pathsep!r}: "
            "move the checkout"
        )
    _refuse_unwritable(folder)
    version = "import platform; print(platform.python_version())"
    asked = subprocess.run([interpreter, "-c", version], capture_output=True, text=True, check=True)
    say(f"creating {folder.name} with Python {asked.stdout.strip()}")
    made = _make(folder, interpreter, lock)
    complete = not made.returncode or _runs(interpreter, "import ensurepip, venv")
    if not complete and can_install():
        install(["python3-venv"])
        made = _make(folder, interpreter, lock)
    if made.returncode:
        advice = "" if complete else "\non Debian: apt-get install python3-venv"
        fail(f"{interpreter} could not make {folder}:\n{made.stdout.strip()}{advice}")


def _make(folder: Path, interpreter: str, lock: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [interpreter, "-m", "venv", "--clear", str(folder)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=(lock,),
    )


def _refuse_unwritable(folder: Path) -> None:
    """End the script if this user can't write there."""
    place = folder if folder.exists() else folder.parent
    if not os.access(place, os.W_OK | os.X_OK):
        fail(
            f"this user can't write to {place}, which must get what the scripts need: run the "
            "script as its owner, or from a checkout of your own"
        )


def other_pythons() -> dict[str, str]:
    """The supported Pythons on this machine but the running one, by version: 3.12 -> its path."""
    minors = range(NEEDED[1], NEEDED[1] + 10)
    return pythons(minor for minor in minors if minor != sys.version_info.minor)


def pythons(minors: Iterable[int]) -> dict[str, str]:
    """The Pythons 3 of these minor versions that run, on PATH or among pyenv's, by version."""
    root = _pyenv()
    found: dict[str, str] = {}
    for minor in minors:
        name = f"python3.{minor}"
        candidates = [shutil.which(name), *map(str, sorted(root.glob(f"versions/*/bin/{name}")))]
        works = (one for one in candidates if one is not None and _runs(one, "import venv"))
        if (path := next(works, None)) is not None:
            found[f"3.{minor}"] = path
    return found


def _pyenv() -> Path:
    """Where pyenv has its Pythons, if it is here."""
    try:
        return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    except RuntimeError:  # no HOME, and a user whom /etc/passwd does not name
        return Path("/nonexistent")


def _runs(interpreter: str, statement: str) -> bool:
    """Whether it does: a version manager may have put something there that only complains."""
    tried = subprocess.run([interpreter, "-c", statement], capture_output=True, check=False)
    return not tried.returncode


def run_in_venv(requirements: str, *arguments: str | os.PathLike[str]) -> int:
    """Run the environment's Python in the repository; its exit code."""
    python = provide_venv(requirements)
    return subprocess.run([python, *arguments], cwd=ROOT, check=False).returncode
