"""The machine of a run, and the sources that it was made from."""

import os
import platform
import resource
import subprocess
from pathlib import Path

from tools.root import ROOT

PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def machine() -> dict[str, str]:
    """This machine."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"Linux {platform.release()}",
        "Python": platform.python_version(),
        "open files": f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]:,} a process",
        "client ports": " to ".join(PORTS.read_text().split()),
    }


def commit() -> str:
    """The checkout's commit, `-dirty` where files differ from it; empty outside of one."""
    done = subprocess.run(
        ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
