"""The first process of a node made of namespaces; on a virtual machine systemd has this role.

It sets sysctl.conf, filters packets if the cluster is closed, starts the given units in order,
restarts those that end, and reaps. Each unit's output goes to /var/log/UNIT.log, and its process
number to UNIT.pid beside it. SIGTERM stops the units in the opposite order.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOGS = Path("/var/log")
CLOSED = Path("/var/lib/teracompra/access/secrets.json")  # cluster/access/secrets.py
PATH = "/opt/teracompra/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

GIVEN = ("CASSANDRA_JVM_OPTIONS",)
"""Variables that services get from who starts the node."""


@dataclass
class Unit:
    """A service, as far as this program reads its unit file, and its process."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    restart_seconds: float = 1.0
    stop_seconds: float = 20.0
    stop_signal: signal.Signals = signal.SIGTERM
    files: int = 1024
    pid: int = 0
    start_at: float = 0.0

    @classmethod
    def read(cls, path: Path) -> "Unit":
        """From a unit file; what it does not know is for systemd alone."""
        unit = cls(path.stem, [])
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "ExecStart":
                unit.command = value.split()
            elif key == "Environment":
                name, _, setting = value.partition("=")
                unit.environment[name] = setting
            elif key == "RestartSec":
                unit.restart_seconds = float(value)
            elif key == "TimeoutStopSec":
                unit.stop_seconds = float(value)
            elif key == "KillSignal":
                unit.stop_signal = signal.Signals[value]
            elif key == "LimitNOFILE":
                unit.files = int(value)
        if not unit.command:
            sys.exit(f"{path}: it has no ExecStart")
        return unit

    def start(self) -> None:
        """Start its process, and note its number."""
        self.pid = os.fork()
        if self.pid:
            (LOGS / f"{self.name}.pid").write_text(str(self.pid))
            return
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            log = os.open(LOGS / f"{self.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # The most that is allowed, if that is less: containers can't raise it.
            files = min(self.files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            given = {name: os.environ[name] for name in GIVEN if name in os.environ}
            ours = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **given}
            environment = {**ours, **self.environment}
            os.execve(self.command[0], self.command, environment)
        except OSError as error:
            print(f"{self.name}: {self.command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)

    def stop(self) -> None:
        """Stop its process, gently for as long as its unit file says."""
        if not self.pid:
            return
        os.kill(self.pid, self.stop_signal)
        deadline = time.monotonic() + self.stop_seconds
        while self.pid:
            wait_for_a_signal(0.2)
            for pid in ended():
                if pid == self.pid:
                    self.pid = 0
            if self.pid and time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("units", nargs="+", type=Path, metavar="UNIT", help="its unit file")
    units = [Unit.read(path) for path in parser.parse_args().units]
    # Blocked, and then waited for: none is missed between a look and a wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
    LOGS.mkdir(parents=True, exist_ok=True)
    set_sysctl(HERE / "sysctl.conf")
    if CLOSED.exists():
        close(HERE / "filter.nft")
    serve(units)
    for unit in reversed(units):
        unit.stop()
    return 0


def serve(units: list[Unit]) -> None:
    """Keep the units running until SIGTERM."""
    while True:
        now = time.monotonic()
        for unit in units:
            if not unit.pid and unit.start_at <= now:
                unit.start()
        if wait_for_a_signal(0.5) == signal.SIGTERM:
            return
        for pid in ended():
            for unit in units:
                if unit.pid == pid:
                    unit.pid, unit.start_at = 0, time.monotonic() + unit.restart_seconds


def wait_for_a_signal(seconds: float) -> int:
    """The signal that came, 0 if none did."""
    came = signal.sigtimedwait([signal.SIGCHLD, signal.SIGTERM], seconds)
    return came.si_signo if came else 0


def ended() -> Iterator[int]:
    """The processes that have ended, orphans of others among them."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid


def set_sysctl(file: Path) -> None:
    """Set what `file` lists, as far as this network has it of its own."""
    for line in file.read_text().splitlines():
        name, _, value = line.partition("=")
        if not value or line.startswith("#"):
            continue
        try:
            Path("/proc/sys", *name.strip().split(".")).write_text(value.strip())
        except OSError as error:
            print(f"{name.strip()}: {error.strerror}", file=sys.stderr, flush=True)


def close(file: Path) -> None:
    """Filter what comes in by the rules in `file`. Ends the node if it can't."""
    try:
        subprocess.run(["nft", "-f", file], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the packet filter of {file} can't be loaded: {error}")
