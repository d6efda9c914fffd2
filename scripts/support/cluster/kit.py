"""What every node has at /opt/teracompra, put together in one folder.

    bin/        consul, nomad, fabio
    cache/      Cassandra's program files
    cassandra/ consul/ nomad/ scripts/    as in the repository
    releases/   a folder for each version of the webhook and TGIBF

The same folder serves nodes made of namespaces, which mount it, and virtual machines, which
copy it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from support.binaries import provide_binary
from support.cassandra import cache, provide_cassandra
from support.release import provide_release
from support.venv import ROOT

PROGRAMS = ("consul", "nomad", "fabio")
FROM_REPOSITORY = ("cassandra", "consul", "nomad", "scripts")


def fill(kit: Path, arch: str, python: str) -> str:
    """Make `kit` what nodes of this architecture and Python need; the release's version.

    What is fetched or built comes from the cache where it is there. A kit that is in use may be
    filled again: each file is replaced as a whole.
    """
    (kit / "bin").mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        place(provide_binary(program, arch), kit / "bin" / program)
    provide_cassandra()
    (cache() / "triggers").mkdir(exist_ok=True)  # Cassandra wants it, and nodes can't make it
    mirror(cache(), kit / "cache" / cache().parent.name / cache().name)
    for name in FROM_REPOSITORY:
        mirror(ROOT / name, kit / name, shutil.copy2)
    return add_release(kit, None, arch, python)


def add_release(kit: Path, version: str | None, arch: str, python: str) -> str:
    """Add the release `version` of the checkout, its own unless told otherwise; the version."""
    release = provide_release(version, python, arch)
    name = version or release.name.partition("-cp")[0]
    mirror(release, kit / "releases" / name)
    return name


def mirror(source: Path, target: Path, put: Callable[[Path, Path], object] | None = None) -> None:
    """Make `target` have the files of `source`, by `put` (`place` unless told otherwise)."""
    for directory, folders, files in os.walk(source):
        folders[:] = [folder for folder in folders if folder != "__pycache__" or put is None]
        here = target / Path(directory).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for file in files:
            (put or place)(Path(directory) / file, here / file)


def place(source: Path, target: Path) -> None:
    """Make `target` the file `source`: the same one where both are on one filesystem."""
    if target.exists() and target.samefile(source):
        return
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    try:
        os.link(source, new)
    except OSError:  # another filesystem, or one without links
        shutil.copy2(source, new)
    new.replace(target)
