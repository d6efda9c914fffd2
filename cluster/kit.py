"""What every node has at /opt/teracompra, assembled in one folder.

    bin/        the programs of cluster/layout.py's parts: consul, nomad, fabio, ...
    cache/      Cassandra's program files
    packages/   third-party packages for the programs in node/, which have no venv
    cassandra/ consul/ nomad/ prometheus/ configuration, as in the repository
    node/ cluster/ artifacts/ tools/      what nodes run, as in the repository
    releases/   a folder for each version of the webhook and TGIBF

The same folder serves nodes made of namespaces, which mount it, and virtual machines, which
copy it.
"""

import os
import shutil
from pathlib import Path

from artifacts.binaries import provide_binary
from artifacts.cassandra import cache, provide_cassandra
from artifacts.packages import provide_packages
from artifacts.release import provide_release
from cluster.layout import PARTS
from tools.root import ROOT

PROGRAMS = tuple(part.program for part in PARTS if part.program)
FROM_REPOSITORY = (
    "artifacts",
    "cassandra",
    "cluster",
    "consul",
    "node",
    "nomad",
    "prometheus",
    "tools",
)


def fill(kit: Path, arch: str, python: str) -> str:
    """Make `kit` what nodes of this architecture and Python need; the release's version.

    What is fetched or built comes from the cache if it is there. A kit that is in use may be
    filled again: each file is replaced as a whole.
    """
    (kit / "bin").mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        place(provide_binary(program, arch), kit / "bin" / program)
    provide_cassandra()
    (cache() / "triggers").mkdir(exist_ok=True)  # Cassandra wants it, and nodes can't make it
    mirror(cache(), kit / "cache" / cache().parent.name / cache().name)
    for name in FROM_REPOSITORY:
        mirror(ROOT / name, kit / name, link=False)
    mirror(provide_packages("cluster", python, arch), kit / "packages")
    return add_release(kit, None, arch, python)


def add_release(kit: Path, version: str | None, arch: str, python: str) -> str:
    """Add the release `version` of the checkout, by default its own; the version."""
    release = provide_release(version, python, arch)
    name = version or release.name.partition("-cp")[0]
    mirror(release, kit / "releases" / name)
    return name


def mirror(source: Path, target: Path, *, link: bool = True) -> None:
    """Make `target` have the files of `source`, the same ones if they may be linked."""
    for directory, folders, files in os.walk(source):
        # Byte code of a release belongs to it; in a checkout it is whatever was left there.
        folders[:] = [folder for folder in folders if link or folder != "__pycache__"]
        here = target / Path(directory).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for file in files:
            place(Path(directory) / file, here / file, link=link)


def place(source: Path, target: Path, *, link: bool = True) -> None:
    """Make `target` the file `source`, at once: the same file if it may be, or a copy."""
    if link and target.exists() and target.samefile(source):
        return
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    if not (link and _linked(source, new)):
        shutil.copy2(source, new)
    new.replace(target)


def _linked(source: Path, target: Path) -> bool:
    """Make `target` a link to `source`; False on another filesystem, or on one without links."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
