"""Pin the dependencies of pyproject.toml again, with hashes, into requirements/*.txt."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.children import outcome
from tools.root import ROOT
from tools.say import fail, say

EXTRAS: dict[str, list[str]] = {
    "webhook": [],
    "tgibf": ["tgibf"],
    "cluster": ["cluster"],
    "loadtest": ["cluster", "loadtest", "tgibf"],
    "dev": ["cluster", "loadtest", "tgibf", "dev"],
    "bench": ["cluster", "tgibf", "bench"],
}
UV = "uv==0.13.9"


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as directory:
        programs = Path(directory) / "bin"
        _do([sys.executable, "-m", "venv", directory], "no virtual environment can be made")
        say(f"installing {UV}")
        _do(
            [programs / "pip", "install", "--quiet", "--disable-pip-version-check", UV],
            f"{UV} can't be installed (is the package index reachable from here?)",
        )
        for name, extras in EXTRAS.items():
            say(f"requirements/{name}.txt")
            command: list[str | Path] = [
                programs / "uv",
                "pip",
                "compile",
                "--quiet",
                "--upgrade",
                "--universal",
            ]
            command += ["--generate-hashes", "--no-emit-index-url", "--python-version", "3.11"]
            command += ["--custom-compile-command", "scripts/lock", "pyproject.toml"]
            command += [f"--extra={extra}" for extra in extras]
            command += ["--output-file", f"requirements/{name}.txt"]
            _do(command, f"requirements/{name}.txt can't be made anew")
    return 0


def _do(command: Sequence[str | Path], otherwise: str) -> None:
    """Run it in the repository; if it fails, end the script in a line with its own last words."""
    done = outcome(command, cwd=ROOT)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        fail(f"{otherwise}: {lines[-1].strip()}")
