"""Debian packages, installed if they are missing and this user may install them."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from tools.say import say


def can_install() -> bool:
    """Whether this is root on a machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: list[str], *, patient: bool = False) -> None:
    """Install `packages`; `patient` leaves the processor to others, and no Ctrl-C cuts it short.

    Raises CalledProcessError.
    """
    say(f"installing Debian packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    prefix = ["nice", "-n", "10"] if patient else []
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        subprocess.run(
            [*prefix, *command],
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=patient,
        )


def provide(commands: Mapping[str, str]) -> None:
    """Install the packages whose commands are missing; `commands` maps command to package.

    If they can't be installed it says so and continues: tests that need them say what they miss.
    """
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = sorted({p for c, p in commands.items() if shutil.which(c, path=path) is None})
    if not missing:
        return
    if can_install():
        install(missing)
    else:
        say(f"not installed, and this user can't install them: {' '.join(missing)}")
