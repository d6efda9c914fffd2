"""Runs the load generator as people do: as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COMMAND = (sys.executable, "-W", "error", "-m", "tgibf")
_DEADLINE = 30


@dataclass(frozen=True)
class Finished:
    """A run that is over."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON summary."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without WEBHOOK, with these variables."""
    ours = {name: value for name, value in os.environ.items() if name != "WEBHOOK"}
    return {**ours, **variables}


def tgibf(*arguments: str, command: Sequence[str] = COMMAND, **variables: str) -> Finished:
    """Run the generator to its end; `variables` go to its environment."""
    done = subprocess.run(
        [*command, *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the generator and let it run."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for a started generator to end."""
    with process:
        out, err = process.communicate(timeout=_DEADLINE)
    return Finished(process.returncode, out, err)
