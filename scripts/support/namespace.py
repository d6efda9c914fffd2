"""Machines made of Linux namespaces, joined by a switch: nodes without virtual machines.

A machine is a set of namespaces (net, mount, pid, uts) that one small process keeps. That process
reads from a pipe and ends when the pipe's other end does, so the kernel takes everything away -
processes, mounts, interfaces - whichever way the owner ends, SIGKILL included. The switch is a
machine too: its bridge is out of sight of the host's packet filter, which may drop what it forwards
(Docker's does). On the host there is one interface, the host's own port of that switch.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

WITHIN_SECONDS = 15.0
COMMANDS = ("ip", "nsenter", "unshare", "mount")


class NamespaceError(Exception):
    """This machine can't have it; the message says why."""


def missing() -> str | None:
    """Why there can be no machines here, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    absent = [command for command in COMMANDS if shutil.which(command) is None]
    if absent:
        return f"namespaces need {', '.join(absent)}"
    tried = run(["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "true"])
    return f"namespaces can't be made: {tried.stderr.strip()}" if tried.returncode else None


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run to the end and keep the output, whatever the exit code."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def must(command: Sequence[str]) -> str:
    """The output of a command that must succeed. Raises NamespaceError."""
    done = run(command)
    if done.returncode:
        raise NamespaceError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def await_that(condition: Callable[[], bool], what: str, seconds: float = WITHIN_SECONDS) -> None:
    """Return when `condition` holds. Raises NamespaceError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NamespaceError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


class Machine:
    """A set of namespaces with this host name, from `with` until its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0
        """Its first process, as the host numbers it."""

    def __enter__(self) -> Self:
        command = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
        command += ["--mount-proc", "--", "sh", "-c", 'hostname "$0" && echo && exec cat']
        self._keeper = subprocess.Popen(
            [*command, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        try:
            if not (self._keeper.stdout and self._keeper.stdout.readline()):
                said = self._keeper.stderr.read() if self._keeper.stderr else ""
                raise NamespaceError(f"{self.name}: {said.strip()}")
            self.pid = children(self._keeper.pid)[0]
            self.must("ip", "link", "set", "lo", "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def kill(self) -> None:
        """Begin its end, so that several machines end at the same time."""
        if self._keeper is not None:
            self._keeper.kill()  # its first process goes with it, and every other with that one

    def _end(self) -> None:
        if self._keeper is None:
            return
        self.kill()
        self._keeper.wait()
        for stream in (self._keeper.stdin, self._keeper.stdout, self._keeper.stderr):
            if stream is not None:
                stream.close()
        if self.pid:
            await_that(lambda: not Path(f"/proc/{self.pid}").exists(), f"the end of {self.name}")

    def inside(self, *command: str) -> list[str]:
        """The command that runs `command` in there."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--uts"]
        return [*enter, "--", *command]

    def must(self, *command: str) -> str:
        """The output of a command in there that must succeed. Raises NamespaceError."""
        return must(self.inside(*command))


class Switch(Machine):
    """A bridge that machines are plugged into."""

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.must("ip", "link", "add", "bridge", "type", "bridge")
            self.must("ip", "link", "set", "bridge", "up")
        except BaseException:
            self._end()
            raise
        return self

    def plug_host(self, interface: str, address: str) -> None:
        """Give the host an interface at the switch; `address` has its prefix length."""
        self._plug("host", os.getpid(), interface)
        must(["ip", "address", "add", address, "dev", interface])
        must(["ip", "link", "set", interface, "up"])

    def plug(self, machine: Machine, interface: str, address: str) -> None:
        """Give `machine` an interface at the switch; `address` has its prefix length."""
        self._plug(machine.name, machine.pid, interface)
        machine.must("ip", "address", "add", address, "dev", interface)
        machine.must("ip", "link", "set", interface, "up")

    def _plug(self, port: str, pid: int, interface: str) -> None:
        peer = ["peer", "name", interface, "netns", str(pid)]
        self.must_see_host("link", "add", port, "type", "veth", *peer)
        self.must("ip", "link", "set", port, "master", "bridge", "up")

    def must_see_host(self, *arguments: str) -> str:
        """`ip` in the switch's network, but with the host's process numbers."""
        return must(["nsenter", f"--target={self.pid}", "--net", "--", "ip", *arguments])

    def cable(self, machine: Machine, state: str) -> None:
        """Pull the machine's cable (`down`) or plug it in again (`up`)."""
        self.must("ip", "link", "set", machine.name, state)


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that run."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in text.split()]


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal; that the process has ended already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
