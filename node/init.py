"""The first process of a node made of namespaces; on a virtual machine systemd has this role.

It sets sysctl.conf, filters packets if the cluster is closed, starts the given units in order,
restarts those that end, and reaps. Each unit's output goes to /var/log/UNIT.log, and its process
number to UNIT.pid beside it. SIGTERM stops the units in the opposite order.

The units' users are no users of this machine, which gets none: they are numbers (ACCOUNTS).
"""

import argparse
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOGS = Path("/var/log")
CLOSED = Path("/var/lib/teracompra/access/secrets.json")  # cluster/access/secrets.py
PATH = "/opt/teracompra/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

GIVEN = ("CASSANDRA_JVM_OPTIONS",)
"""Variables that services get from who starts the node."""

ACCOUNTS = {"consul": 60701, "cassandra": 60702}
"""The number of each unit's user, and of its group.

Above those of people and below those that systemd gives away (61184): https://systemd.io/UIDS-GIDS/.
"""
STATES = Path("/var/lib")
PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
FAILED = 127
LIMITS = {"LimitNOFILE": resource.RLIMIT_NOFILE, "LimitMEMLOCK": resource.RLIMIT_MEMLOCK}


@dataclass
class Unit:
    """A service, as far as this program reads its unit file, and its process."""

    name: str
    command: list[str]
    environment: dict[str, str]
    restart_seconds: float
    stop_seconds: float
    stop_signal: signal.Signals
    limits: dict[int, int]
    account: int
    """Of its user and its group; 0 is root."""
    state: Path | None
    """A folder that is its user's alone."""
    before: list[list[str]]
    """Commands that root runs first."""
    umask: int
    bounded: bool
    """Whether nothing that it starts may be more than it is."""
    pid: int = 0
    start_at: float = 0.0

    @classmethod
    def read(cls, path: Path) -> "Unit":
        """From a unit file; what it does not know is for systemd alone."""
        found: dict[str, list[str]] = {}
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
        if "ExecStart" not in found:
            sys.exit(f"{path}: it has no ExecStart")
        one = {key: values[-1] for key, values in found.items()}
        return cls(
            path.stem,
            one["ExecStart"].split(),
            environment=dict(line.split("=", 1) for line in found.get("Environment", ())),
            restart_seconds=float(one.get("RestartSec", 1)),
            stop_seconds=float(one.get("TimeoutStopSec", 20)),
            stop_signal=signal.Signals[one.get("KillSignal", "SIGTERM")],
            limits={kind: number(one[key]) for key, kind in LIMITS.items() if key in one},
            account=ACCOUNTS[one["User"]] if "User" in one else 0,
            state=STATES / one["StateDirectory"] if "StateDirectory" in one else None,
            before=[line.removeprefix("+").split() for line in found.get("ExecStartPre", ())],
            umask=int(one.get("UMask", "022"), 8),
            bounded=one.get("NoNewPrivileges") == "yes",
        )

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
            for kind, wanted in self.limits.items():
                limit(kind, wanted)
            given = {name: os.environ[name] for name in GIVEN if name in os.environ}
            home = str(self.state) if self.account else "/root"
            ours = {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", **given}
            environment = {**ours, **self.environment}
            if self.state:
                hand_over(self.state, self.account)
            for command in self.before:
                subprocess.run(command, env=environment, check=True)
            self.become_its_user()
            os.execve(self.command[0], self.command, environment)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{self.name}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(FAILED)

    def become_its_user(self) -> None:
        """Have this process be no more than the unit's user. Raises OSError."""
        os.umask(self.umask)
        if self.account:
            os.setgroups([])
            os.setresgid(self.account, self.account, self.account)
            os.setresuid(self.account, self.account, self.account)
        if self.bounded:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "it can't be bounded")

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


def hand_over(state: Path, account: int) -> None:
    """Make a folder that is the account's alone, with all that was root's in there.

    The folder itself changes last, and until then the account can't enter it: what is cut off is
    done again from the beginning, and what is done costs nothing. systemd does the same.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if state.stat().st_uid != account:
        for _, folders, files, at in os.fwalk(state):
            for name in (*folders, *files):
                os.chown(name, account, account, dir_fd=at, follow_symlinks=False)
        os.chown(state, account, account)
    state.chmod(0o700)


def number(text: str) -> int:
    """A limit as units have it."""
    return resource.RLIM_INFINITY if text == "infinity" else int(text)


def limit(kind: int, wanted: int) -> None:
    """Set a limit, or the most that is allowed: in a container none can be raised."""
    try:
        resource.setrlimit(kind, (wanted, wanted))
    except ValueError:
        most = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most, most))


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
