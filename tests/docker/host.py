"""What a private engine could leave on its host."""

import hashlib
import re
from pathlib import Path

from .docker import execute


def leftovers(root: Path) -> list[str]:
    """Files, mounts, processes, cgroups of the engine that lived at `root`, one line each."""
    cgroup = f"teracompra-engine-{hashlib.sha256(bytes(root)).hexdigest()[:8]}"
    found = [f"directory {root}"] if root.exists() else []
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {mount}" for mount in mounts if f" {root}/" in mount]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            groups = (process / "cgroup").read_text()
        except OSError:
            continue  # it ended meanwhile
        if f"{root}/" in command or f"/{cgroup}" in groups:
            found.append(f"process {process.name}: {command}")
    return found + [f"cgroup {group}" for group in Path("/sys/fs/cgroup").glob(f"**/{cgroup}")]


def network(*inside: str) -> list[str]:
    """Docker's bridges and packet filter rules, and the forwarding.

    `inside` is a command to run the others with, such as nsenter and its options.
    """
    links = execute(*inside, "ip", "-oneline", "link").stdout.splitlines()
    found = [link for link in links if re.search(r"\b(docker0|br-[0-9a-f]{12}|veth\w+)\b", link)]
    for command in ("iptables-save", "ip6tables-save"):
        rules = execute(*inside, command).stdout.splitlines()
        found += [f"{command}: {rule}" for rule in rules if re.search(r"DOCKER|docker0|br-", rule)]
    policy = execute(*inside, "iptables", "-S", "FORWARD").stdout.splitlines()[:1]
    forward = execute(*inside, "cat", "/proc/sys/net/ipv4/ip_forward").stdout
    return [*found, *policy, f"ip_forward {forward}"]
