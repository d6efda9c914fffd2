"""libvirt for a test: a daemon, its networks and its machines in namespaces of their own.

Nothing of it is to be seen on the host, and all of it ends with the `with`: the daemon, dnsmasq,
the virtual machines, their disks. It emulates machines (QEMU without KVM), some 13 times slower.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.linux.namespace import Machine
from harness.waiting import wait_for

COMMANDS = ("dnsmasq", "libvirtd", "qemu-system-x86_64", "rsync", "vagrant", "virsh")
SETTINGS = {
    "libvirtd.conf": 'auth_unix_rw = "none"\n',
    # It is root in a namespace: no other user, no cgroups, no daemon for the consoles' output.
    "qemu.conf": (
        'user = "root"\ngroup = "root"\nsecurity_driver = "none"\ncgroup_controllers = []\n'
        'namespaces = []\nstdio_handler = "file"\n'
    ),
}
CLONE_NEWNET = 0x40000000
# Runs a command and buries what it leaves: libvirt waits for its QEMUs to be gone, and the first
# process in there is no init.
BURYING = """
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def missing() -> str | None:
    """What is needed and not here, in words; None if all is."""
    absent = [command for command in COMMANDS if shutil.which(command) is None]
    return f"needs {', '.join(absent)}: scripts/test vagrant installs them" if absent else None


class Libvirt:
    """The daemon, with all that it keeps in `folder`, from `with` until its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._machine = Machine("libvirt")
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._machine.__enter__()
        try:
            self._mount()
            command = self.inside(sys.executable, "-c", BURYING, "libvirtd")
            with (self.folder / "libvirtd.log").open("wb") as log:
                self._daemon = subprocess.Popen(command, stdout=log, stderr=log)
            wait_for(lambda: self.virsh("list").returncode == 0, "libvirtd's answer", 60, 0.2)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._machine.__exit__(kind, error, traceback)
        if self._daemon is not None:
            self._daemon.wait()

    def inside(self, *command: str) -> list[str]:
        """The command that runs `command` where the daemon is."""
        return self._machine.inside(*command)

    def virsh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run virsh to its end, whatever its exit code."""
        command = self.inside("virsh", "--connect", "qemu:///system", *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @contextmanager
    def network(self) -> Iterator[None]:
        """For this thread, and those that it starts, the network is the daemon's meanwhile."""
        with Path("/proc/self/ns/net").open("rb") as own:
            with Path(f"/proc/{self._machine.pid}/ns/net").open("rb") as its:
                _set_network(its.fileno())
            try:
                yield
            finally:
                _set_network(own.fileno())

    def _mount(self) -> None:
        """Give the daemon its own folders at the usual paths, and no KVM."""
        for name in ("etc", "lib", "log", "cache"):
            (self.folder / name).mkdir()
        for name, text in SETTINGS.items():
            (self.folder / "etc" / name).write_text(text)
        for name, path in {
            "etc": "/etc/libvirt",
            "lib": "/var/lib/libvirt",
            "log": "/var/log/libvirt",
            "cache": "/var/cache/libvirt",
        }.items():
            self._machine.must("mount", "--bind", str(self.folder / name), path)
        self._machine.must("mount", "-t", "tmpfs", "tmpfs", "/run")
        self._machine.must("mount", "-t", "sysfs", "sysfs", "/sys")  # with its own interfaces
        if Path("/dev/kvm").exists():
            self._machine.must("mount", "--bind", "/dev/null", "/dev/kvm")


def _set_network(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
