"""Machines made of Linux namespaces, joined by a switch: nodes without virtual machines.

A machine is a set of namespaces (net, mount, pid, uts) with a first process. When that process
ends, the kernel removes everything: processes, mounts, interfaces. A `Machine` lives as long as a
`with` block: its first process reads from a pipe and ends when the pipe's other end closes, however
the owner ends, SIGKILL included. A `LastingMachine` stays when its maker ends, until it is killed.
The switch is a machine, too: the host's packet filter, which may drop forwarded packets (Docker's
does), does not see its bridge. The host has one interface: its own port of the switch.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
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


def in_memory(folder: Path) -> str:
    """tmpfs or ramfs if the folder is on one, where a sync means nothing; empty otherwise."""
    kind = must(["stat", "--file-system", "--format=%T", str(folder)]).strip()
    return kind if kind in {"tmpfs", "ramfs"} else ""


def routes_to(network: str) -> str:
    """This machine's routes to the network, as `ip` has them; empty if there are none."""
    return must(["ip", "route", "show", "to", "root", network]).strip()


class Namespaces:
    """A set of namespaces by its first process."""

    def __init__(self, name: str, pid: int = 0) -> None:
        self.name = name
        self.pid = pid
        """Its first process, as the host numbers it; 0 before it is made."""

    def inside(self, *command: str) -> list[str]:
        """The command that runs `command` in there."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--uts"]
        return [*enter, "--", *command]

    def must(self, *command: str) -> str:
        """The output of a command in there that must succeed. Raises NamespaceError."""
        return must(self.inside(*command))


class Machine(Namespaces):
    """A set of namespaces with this host name, from `with` until its end."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._keeper = _unshare(self.name, "exec cat", [])
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

    def __exit__(self, *_: object) -> None:
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
            await_end(self)


class LastingMachine(Namespaces):
    """A set of namespaces with this host name that stays until it is killed.

    It is made in two steps. After `make` there is nothing in it but a process that waits; a maker
    that ends now leaves nothing behind. `run` turns that process into the first one.
    """

    def __init__(self, name: str, pid: int = 0) -> None:
        super().__init__(name, pid)
        self._maker: subprocess.Popen[str] | None = None

    def make(self, *command: str) -> None:
        """Make the namespaces, in which `command` will run. Raises NamespaceError."""
        go = 'read -r log && exec "$@" < /dev/null > "$log" 2>&1'
        self._maker = _unshare(self.name, go, command, kill_child=False)
        if not (self._maker.stdout and self._maker.stdout.readline()):
            said = self._maker.stderr.read() if self._maker.stderr else ""
            raise NamespaceError(f"{self.name}: {said.strip()}")
        self.pid = children(self._maker.pid)[0]
        self.must("ip", "link", "set", "lo", "up")

    def run(self, log: Path) -> None:
        """Run the command, with its output in `log`; the machine is no longer its maker's."""
        if self._maker is None or self._maker.stdin is None:
            raise NamespaceError(f"{self.name} has not been made")
        self._maker.stdin.write(f"{log}\n")
        for stream in (self._maker.stdin, self._maker.stdout, self._maker.stderr):
            if stream is not None:
                stream.close()
        self._maker.returncode = 0  # nobody waits for it
        self._maker = None

    def kill(self) -> None:
        """End everything in it at once; returns when it has ended."""
        signal_process(self.pid, signal.SIGKILL)
        await_end(self)


def _unshare(
    name: str, script: str, arguments: Sequence[str], *, kill_child: bool = True
) -> "subprocess.Popen[str]":
    """New namespaces in which the shell runs `script`, after a line on its output."""
    command = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork"]
    command += ["--kill-child"] * kill_child
    command += ["--mount-proc", "--", "sh", "-c", f'hostname "$0" && echo && {script}', name]
    return subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def await_end(machine: Namespaces) -> None:
    """Return when the machine's first process has ended, and with it all others."""
    path = Path(f"/proc/{machine.pid}")
    await_that(lambda: not path.exists(), f"the end of {machine.name}")


class Bridge(Namespaces):
    """A switch, whoever owns it: a bridge that connects machines."""

    def build(self) -> None:
        """Make the bridge. Raises NamespaceError."""
        self.must("ip", "link", "add", "bridge", "type", "bridge")
        self.must("ip", "link", "set", "bridge", "up")

    def plug_host(self, interface: str, address: str) -> None:
        """Give the host an interface at the switch; `address` has its prefix length."""
        self._plug("host", os.getpid(), interface)
        must(["ip", "address", "add", address, "dev", interface])
        must(["ip", "link", "set", interface, "up"])

    def plug(self, machine: Namespaces, interface: str, address: str) -> None:
        """Give `machine` an interface at the switch; `address` has its prefix length."""
        self._plug(machine.name, machine.pid, interface)
        machine.must("ip", "address", "add", address, "dev", interface)
        machine.must("ip", "link", "set", interface, "up")

    def unplug(self, port: str) -> None:
        """Remove a machine's port, and with it the machine's interface, if it is there."""
        run(self.inside("ip", "link", "delete", port))

    def _plug(self, port: str, pid: int, interface: str) -> None:
        peer = ["peer", "name", interface, "netns", str(pid)]
        self.must_see_host("link", "add", port, "type", "veth", *peer)
        self.must("ip", "link", "set", port, "master", "bridge", "up")

    def must_see_host(self, *arguments: str) -> str:
        """`ip` in the switch's network, but with the host's process numbers."""
        return must(["nsenter", f"--target={self.pid}", "--net", "--", "ip", *arguments])

    def cable(self, machine: Namespaces, state: str) -> None:
        """Pull the machine's cable (`down`) or plug it in again (`up`)."""
        self.must("ip", "link", "set", machine.name, state)


class Switch(Bridge, Machine):
    """A bridge for the length of a `with`."""

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.build()
        except BaseException:
            self._end()
            raise
        return self


class LastingSwitch(Bridge, LastingMachine):
    """A bridge that stays until it is killed."""


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that run."""
    try:
        texts = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for text in texts for child in text.split()]


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal; that the process has ended already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
