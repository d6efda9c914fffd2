"""Pin the dependencies of pyproject.toml again, with hashes, into requirements/*.txt."""

import argparse
import subprocess
import tempfile
import venv
from pathlib import Path

from tools.root import ROOT
from tools.say import say

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
        venv.create(directory, with_pip=True)
        programs = Path(directory) / "bin"
        say(f"installing {UV}")
        subprocess.run([programs / "pip", "install", "--quiet", UV], check=True)
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
            subprocess.run(command, check=True, cwd=ROOT)
    return 0
