"""The machine of a run, and the sources that it was made from.

They are only for the report: no run is lost because one of them can't be had.
"""

import os
import platform
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

from tools.root import ROOT

PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def told(name: str, ask: Callable[[], str], warnings: list[str]) -> str:
    """What `ask` says; where it fails nothing, and a line in `warnings`."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason to end a run
        warnings.append(f"the report does not tell {name}: {type(error).__name__}: {error}")
        return ""


def machine(warnings: list[str]) -> dict[str, str]:
    """This machine; what can't be told is a line in `warnings`."""
    facts: dict[str, Callable[[], str]] = {
        "processor": _processor,
        "cores": lambda: str(len(os.sched_getaffinity(0))),
        "memory": _memory,
        "kernel": lambda: f"Linux {platform.release()}",
        "Python": platform.python_version,
        "open files": lambda: f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]:,} a process",
        "client ports": lambda: " to ".join(PORTS.read_text().split()),
    }
    found = {name: told(name, ask, warnings) for name, ask in facts.items()}
    return {name: text for name, text in found.items() if text}


def commit() -> str:
    """The checkout's commit, `-dirty` where files differ from it; empty outside of one."""
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # there is no git
        return ""
    return done.stdout.strip()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
