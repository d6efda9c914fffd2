"""A Vagrant box for libvirt: Debian 12 with everything that a node needs from Debian.

debootstrap makes it on a separate disk, which is mounted in a mount namespace of this process only:
however the process ends, the mount ends with it, and with that the loop device.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from artifacts.cache import cache
from artifacts.fetch import sha256
from artifacts.folder import make_folder
from tools.say import say

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
DISK_GIB = 20
"""The disk's size as the machine sees it; on the host it takes what is written to it."""
PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "ifupdown",
    "iproute2",
    "iputils-ping",
    "isc-dhcp-client",
    "less",
    "libpam-systemd",
    "linux-image-cloud-amd64",
    "netbase",
    "nftables",
    "openjdk-17-jre-headless",
    "openssh-server",
    "procps",
    "python3",
    "rsync",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "vim-tiny",
)
# The key pair that every Vagrant has; `vagrant up` puts another one in its place.
INSECURE_KEY = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltG"
    "EFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSI"
    "Fo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NO"
    "Td0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8t"
    "ehUc9c9WhQ== vagrant insecure public key\n"
)
FILES = {
    "etc/apt/sources.list": f"deb {MIRROR} {SUITE} main\n",
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
    "etc/hostname": "teracompra\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 teracompra\n::1 localhost\n",
    # As debian/bookworm64 has it.
    "etc/network/interfaces": (
        "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n"
    ),
    "etc/ssh/sshd_config.d/vagrant.conf": "UseDNS no\nPasswordAuthentication no\n",
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
    # Every machine gets keys of its own, and a number of its own (machine-id, left empty).
    "etc/systemd/system/ssh-host-keys.service": (
        "[Unit]\nDescription=Host keys for ssh\nBefore=ssh.service\n"
        "ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\n\n"
        "[Service]\nType=oneshot\nExecStart=/usr/bin/ssh-keygen -A\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "boot/extlinux/extlinux.conf": (
        "default linux\ntimeout 1\n\nlabel linux\n  kernel /vmlinuz\n  initrd /initrd.img\n"
        # eth0 and eth1, not names by the slot of a card.
        "  append root=LABEL=root ro net.ifnames=0 biosdevname=0 console=tty0 console=ttyS0\n"
    ),
}
MODES = {"etc/sudoers.d/vagrant": 0o440}
IN_THE_BOX = (
    "useradd --create-home --shell /bin/bash vagrant",
    "install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh",
    "cat > /home/vagrant/.ssh/authorized_keys",
    "chown vagrant:vagrant /home/vagrant/.ssh/authorized_keys",
    "chmod 600 /home/vagrant/.ssh/authorized_keys",
    "systemctl --quiet enable ssh-host-keys.service",
    "truncate --size 0 /etc/machine-id",
    "rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id",
    "rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/*.log",
)
BOX = "node.box"
DISK = "box.img"
RECORD = "box.json"
SHOW_EVERY_SECONDS = 2.0
CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x4000 | 0x40000


class BoxError(Exception):
    """The box could not be made; the message says why."""


def provide_box() -> Path:
    """The box, made unless it is there as it should be. Raises BoxError and OSError."""
    home = cache() / "boxes" / f"{SUITE}-amd64"
    if make_folder(home, RECORD, {"made_by_sha256": sha256(Path(__file__))}, _fill):
        say(f"the box is in {home}")
    else:
        say(f"the box is up to date, in {home}")
    return home / BOX


def _fill(folder: Path) -> Mapping[str, Any]:
    """Make the box in `folder`."""
    raw, disk = folder / "raw", folder / DISK
    _make_disk(raw, folder / "root")
    say("packing it (a minute or two)")
    _run(["qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(disk)])
    raw.unlink()
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_GIB}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "Vagrantfile").write_text('Vagrant.configure("2") {}\n')
    parts = ("metadata.json", "Vagrantfile", DISK)
    _run(["tar", "-C", str(folder), "-czf", str(folder / BOX), *parts])
    for part in parts:
        (folder / part).unlink()
    return {}


def _make_disk(raw: Path, root: Path) -> None:
    """Make `raw` a disk that boots; `root` is where it is mounted meanwhile."""
    _unshare_mounts()
    with raw.open("wb") as file:
        file.truncate(DISK_GIB << 30)
    # What extlinux can read.
    features = "^64bit,^metadata_csum"
    _run(["mkfs.ext4", "-q", "-F", "-L", "root", "-O", features, str(raw)])
    root.mkdir()
    _run(["mount", "-o", "loop", str(raw), str(root)])
    try:
        _install(root)
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            (root / name).chmod(MODES.get(name, 0o644))
        _run(["chroot", str(root), "sh", "-e", "-c", "\n".join(IN_THE_BOX)], text=INSECURE_KEY)
        _run(["extlinux", "--install", str(root / "boot" / "extlinux")])
    finally:
        _run(["umount", str(root)])
    root.rmdir()


def _unshare_mounts() -> None:
    """Continue in a mount namespace of this process only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC_PRIVATE, None):
        raise BoxError(f"no mounts of its own: {os.strerror(ctypes.get_errno())}")


def _install(root: Path) -> None:
    """Debian into `root`, its packages kept for the next time."""
    archives = cache() / "debian"
    archives.mkdir(parents=True, exist_ok=True)
    say(f"installing Debian ({SUITE}) from {MIRROR} into a disk")
    _show_steps(
        [
            "debootstrap",
            "--force-check-gpg",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            f"--cache-dir={archives}",
            SUITE,
            str(root),
            MIRROR,
        ]
    )


def _show_steps(command: Sequence[str]) -> None:
    """Run debootstrap, showing now and then where it is. Raises BoxError."""
    lines: list[str] = []
    shown = time.monotonic()
    output = subprocess.PIPE
    with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True) as steps:
        for line in steps.stdout or ():
            lines.append(line)
            if time.monotonic() - shown >= SHOW_EVERY_SECONDS:
                shown = time.monotonic()
                print(f"    {re.sub('^[IW]: ', '', line.strip())}", file=sys.stderr, flush=True)
    if steps.returncode:
        raise BoxError("debootstrap said:\n" + "".join(lines[-20:]))


def _run(command: Sequence[str], text: str = "") -> None:
    """Run a command with `text` as its input. Raises BoxError with what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BoxError(f"{shutil.which(command[0]) or command[0]}: {done.stdout}{done.stderr}")
