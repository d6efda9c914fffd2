"""The box's system in a container: what a virtual machine boots, in seconds and without emulation.

    with Machine("node-1") as machine, Container(machine, kit, Disk(box, folder)) as container:
        container.run("/opt/teracompra/node/provision node-1")

systemd is its first process (systemd-nspawn), and its network is the Machine's. What it writes is
gone at its end.
"""

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Self

from cluster.linux.namespace import Machine, children
from harness.waiting import wait_for

COMMANDS = ("qemu-img", "systemd-nspawn")
BOOT_SECONDS = 60.0
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def missing() -> str | None:
    """What containers need and is not here, in words; None if all is."""
    absent = [command for command in COMMANDS if shutil.which(command) is None]
    return f"needs {', '.join(absent)}: scripts/test vagrant installs them" if absent else None


class Disk:
    """The disk in a box, unpacked into `folder`."""

    def __init__(self, box: Path, folder: Path) -> None:
        subprocess.run(["tar", "-C", str(folder), "-xzf", str(box), "box.img"], check=True)
        self.folder = folder
        self.path = folder / "disk"
        packed = folder / "box.img"
        subprocess.run(
            ["qemu-img", "convert", "-O", "raw", str(packed), str(self.path)], check=True
        )
        packed.unlink()
        self.root = folder / "root"
        """Where containers have it mounted, each in its own namespace."""
        self.root.mkdir()

    def remove(self) -> None:
        """Remove all of it: it has a gigabyte."""
        shutil.rmtree(self.folder)


class Container:
    """The system in the namespaces of `machine`, from `with` until its end."""

    def __init__(self, machine: Machine, kit: Path, disk: Disk) -> None:
        self._machine = machine
        self._kit = kit
        self._disk = disk
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        self._machine.must("mount", "-o", "loop,ro", str(self._disk.path), str(self._disk.root))
        command = ["env", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network", "systemd-nspawn", "--boot"]
        command += ["--quiet", "--register=no", "--keep-unit", "--console=pipe"]
        command += ["--volatile=overlay", "--capability=CAP_NET_ADMIN"]
        command += ["--system-call-filter=@keyring"]  # Nomad's executor gives each task its own
        command += [f"--bind={self._kit}:/opt/teracompra", f"--directory={self._disk.root}"]
        self._process = subprocess.Popen(
            self._machine.inside(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._first = wait_for(self._find_first, "the container's systemd", BOOT_SECONDS)
            wait_for(self._has_booted, "the container's boot", BOOT_SECONDS, 0.2)
            self._give_control_groups()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, command: str, *, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command line in there, as root; it must exit with `code`, unless that is None."""
        enter = ["nsenter", f"--target={self._first}", "--all", "--", "bash", "-lc", command]
        done = subprocess.run(enter, capture_output=True, text=True, check=False)
        shown = f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, shown
        return done

    def output(self, command: str) -> str:
        """What a command that must succeed prints."""
        return self.run(command).stdout.strip()

    def power_off(self, seconds: float) -> None:
        """Shut it down as a halt of a virtual machine does, within so many seconds."""
        self.run("systemctl poweroff", code=None)
        process = self._process
        assert process is not None
        wait_for(lambda: process.poll() is not None, "the end of its shutdown", seconds, 0.2)

    def _find_first(self) -> int:
        """systemd, by its number on this machine: below nsenter, env and systemd-nspawn."""
        assert self._process is not None
        assert self._process.poll() is None, "systemd-nspawn has ended"
        found = [self._process.pid]
        for pid in found:
            found += children(pid)
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return pid
        return 0

    def _has_booted(self) -> bool:
        state = self.run("systemctl is-system-running", code=None).stdout.strip()
        return state in {"running", "degraded"}  # a container has no disk to remount

    def _give_control_groups(self) -> None:
        """Groups of version 1 that it may write to, which systemd-nspawn does not give it."""
        for line in self.output("cat /proc/mounts").splitlines():
            _, path, filesystem, options, *_ = line.split()
            if filesystem != "cgroup" or "name=systemd" in options:
                continue
            controller = Path(path).name
            self.run(
                f"mkdir -p /run/all && mount -t cgroup -o {controller} none /run/all && "
                f"mkdir -p /run/all/{self.group} && "
                f"(cd /run/all && cat cpuset.cpus > {self.group}/cpuset.cpus && "
                f"cat cpuset.mems > {self.group}/cpuset.mems; true) 2>/dev/null && "
                f"mount --bind /run/all/{self.group} {path} && umount /run/all"
            )

    @property
    def group(self) -> str:
        """What its control groups are called."""
        return f"teracompra-{self._machine.name}"

    def _end(self) -> None:
        self._machine.kill()
        if self._process is not None:
            self._process.wait()
        wait_for(self._remove_groups, "the end of the container's control groups")

    def _remove_groups(self) -> bool:
        groups = list(CONTROL_GROUPS.glob(f"**/{self.group}"))
        for parent in groups:
            inner = sorted(
                (path for path in parent.glob("**/*") if path.is_dir()),
                key=lambda path: len(path.parts),
                reverse=True,
            )
            for group in [*inner, parent]:
                with contextlib.suppress(OSError):
                    group.rmdir()
        return not any(group.exists() for group in groups)
