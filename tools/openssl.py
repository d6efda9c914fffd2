"""OpenSSL's command."""

import shutil
import subprocess
from pathlib import Path


class OpensslError(Exception):
    """It is not installed, or it failed; the message has its own words."""


def openssl(*arguments: object, folder: Path | None = None) -> str:
    """Run it, in `folder` if that is given; what it prints. Raises OpensslError."""
    if shutil.which("openssl") is None:
        raise OpensslError("openssl is not installed; on Debian: apt-get install openssl")
    words = ["openssl", *map(str, arguments)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OpensslError(f"{' '.join(words)}:\n{done.stderr.strip()}")
    return done.stdout
