"""A Vagrant box of our own, for libvirt: Debian 12 with Java and Python.

With it `vagrant up` needs no network at all. Making it takes root on Debian (amd64) and some
minutes; it is kept in the cache (430 MB):

    scripts/box add
    TERACOMPRA_BOX=teracompra/node vagrant up --provider=libvirt
"""

import argparse
import os
import platform
import subprocess

from tools.debian import provide
from tools.say import fail, say
from tools.verbs import Verbs

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
    verbs = Verbs(parser)
    verbs.add_parser("build", help="make the box unless it exists; prints its path")
    verbs.add_parser("add", help=f"build it, and add it to Vagrant as {NAME}")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        fail("making a box needs root on x86_64; others use Debian's box (docs/vagrant.md)")
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
