"""End what Nomad runs on this machine, if the machine shuts down. Otherwise do nothing.

systemd runs it after it has stopped Nomad, which leaves its allocations running, and before it
stops Cassandra, Consul and the network. It takes the allocations out of Consul, so that balancers
send nothing new, and then sends SIGTERM, so that what is in flight is stored and answered. Without
it systemd's own SIGTERM would reach Nomad's executors, too: they would cut their tasks off and
stay, and systemd would wait for them for a minute and a half.

It runs with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cluster.access.secrets import Secrets
from cluster.linux.namespace import children, signal_process

NOMAD = Path("/opt/teracompra/bin/nomad")
NOTICE_SECONDS = 5.0  # shutdown_delay in webhook.nomad
DRAIN_SECONDS = 30.0  # a webhook takes up to 20, Fabio 25
SERVICES = "_nomad-task-"  # what Nomad's names for services of allocations begin with


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    if not going_down():
        return 0
    helpers = list(nomads())
    tasks = [task for helper in helpers for task in children(helper)]
    if tasks and leave_consul():
        time.sleep(NOTICE_SECONDS)
    for task in tasks:
        signal_process(task, signal.SIGTERM)
    deadline = time.monotonic() + DRAIN_SECONDS
    while any(map(runs, tasks)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in (*tasks, *helpers):
        signal_process(process, signal.SIGKILL)
    return 0


def going_down() -> bool:
    """Whether systemd is stopping everything."""
    command = ["systemctl", "is-system-running"]
    return subprocess.run(command, capture_output=True, check=False).stdout.strip() == b"stopping"


def leave_consul() -> bool:
    """Have Consul forget the allocations' services; whether it could be told."""
    import consul
    import requests

    secrets = Secrets.read()
    agent = consul.Consul(token=secrets and secrets.consul_nomad).agent
    try:
        for name in agent.services():
            if name.startswith(SERVICES):
                agent.service.deregister(name)
    except (consul.ConsulException, requests.RequestException) as error:
        print(f"Consul can't be reached: {error}", file=sys.stderr)
        return False
    return True


def nomads() -> Iterator[int]:
    """The processes of Nomad's own: a task's executor, and who keeps its log."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "exe").resolve() == NOMAD.resolve():
                yield int(process.name)


def runs(pid: int) -> bool:
    """Whether a process has not ended yet: one that has may still wait for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
