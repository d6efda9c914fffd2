"""The scripts as a user types them."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tools.root import ROOT

SCRIPTS = ROOT / "scripts"


IGNORE = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])
"""
IGNORING_SIGCHLD = (sys.executable, "-c", IGNORE)
"""Goes before a command that shall begin as some parents would have it; a shell's `trap` can't."""


def script(
    name: str, *arguments: str | Path, seconds: float = 120, checkout: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run the checkout's scripts/`name` to its end."""
    return subprocess.run(
        [checkout / "scripts" / name, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def as_any_user() -> tuple[str, ...]:
    """Goes before a command that shall obey the modes of files, which root does not."""
    if os.geteuid():
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def figure(output: str, name: str) -> int:
    """A line `name   figure` of the output."""
    match = re.search(rf"^{name}\s+(\d+)", output, re.MULTILINE)
    assert match is not None, output
    return int(match[1])
