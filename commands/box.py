"""A Vagrant box of our own, for libvirt: Debian 12 with Java and Python in it.

With it `vagrant up` needs no network at all. It is made as root on Debian (amd64), in some minutes,
and kept in the cache (430 MB):

    scripts/box add
    TERACOMPRA_BOX=teracompra/node vagrant up --provider=libvirt
"""

import argparse
import os
import platform
import subprocess

from tools.debian import provide
from tools.say import fail, say

NAME = "teracompra/node"
COMMANDS = {
    "debootstrap": "debootstrap",
    "extlinux": "extlinux",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "qemu-img": "qemu-utils",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("build", help="make the box unless it is there; prints its path")
    verbs.add_parser("add", help=f"build it, and give it to Vagrant as {NAME}")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        fail("a box is made as root on an x86_64 machine; others take Debian's (docs/vagrant.md)")
    provide(COMMANDS)
    from artifacts.box import BoxError, provide_box

    try:
        box = provide_box()
    except (BoxError, OSError) as error:
        fail(str(error))
    if arguments.verb == "build":
        print(box)
        return 0
    say(f"giving it to Vagrant as {NAME}")
    command = ["vagrant", "box", "add", "--force", "--provider=libvirt", f"--name={NAME}", str(box)]
    return subprocess.run(command, check=False).returncode
