"""The virtual environment `.venv` with the pinned dependencies of one requirements file."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from support.debian import can_install, install
from support.say import fail, say

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NEEDED = (3, 11)


def provide_venv(requirements: str) -> Path:
    """Make `.venv` hold `requirements/<requirements>.txt`; the path of its Python.

    A second call with the same file does nothing. Ends the script with advice if it can't.
    """
    if sys.version_info < NEEDED:
        wanted = ".".join(map(str, NEEDED))
        fail(f"this is Python {sys.version.split()[0]}; run it with Python {wanted} or later")
    if not PYTHON.exists():
        _create()
    file = ROOT / "requirements" / f"{requirements}.txt"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    stamp = VENV / f"{requirements}.sha256"
    if not stamp.exists() or stamp.read_text() != digest:
        say(f"installing the pinned packages of {file.relative_to(ROOT)} into .venv")
        command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes"]
        command += ["-r", str(file)]
        if subprocess.run(command, check=False).returncode:
            fail("pip could not install them; is the package index reachable from here?")
        stamp.write_text(digest)
    return PYTHON


def _create() -> None:
    say(f"creating .venv with Python {sys.version.split()[0]}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if not subprocess.run(command, check=False, capture_output=True).returncode:
        return
    if can_install():
        install(["python3-venv"])
        if not subprocess.run(command, check=False).returncode:
            return
    fail("python3 can't create virtual environments; on Debian: apt-get install python3-venv")


def run_in_venv(requirements: str, *arguments: str | os.PathLike[str]) -> int:
    """Run the environment's Python in the repository; its exit code."""
    python = provide_venv(requirements)
    return subprocess.run([python, *arguments], cwd=ROOT, check=False).returncode


def enter_venv(requirements: str) -> None:
    """Go on in the environment: start the running script again with the environment's Python.

    The repository is importable afterwards.
    """
    python = provide_venv(requirements)
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(python, [str(python), *sys.argv])
    sys.path.insert(0, str(ROOT))
