"""Virtual machines as nodes, and their kit: what all nodes have, and what only they need.

debian/     Debian packages that the box lacks, once a machine has fetched them
"""

import os
import platform
import re
import shutil
import socket
import tarfile
from pathlib import Path

from artifacts.cache import cache
from artifacts.release import PYTHON
from cluster import kit
from cluster.access import settings
from cluster.layout import CONSUL_PORT, NODES, ClusterError, Node
from cluster.nodes.kind import NAMES, NodeKind
from tools.root import ROOT
from tools.say import say

KIT = ROOT / ".vagrant" / "kit"
ACCESS = ROOT / ".vagrant" / "access"
OPEN = "TERACOMPRA_OPEN"
KEPT = ("bin", "cache", "releases")
LOOK_SECONDS = 2.0
WITHIN_SECONDS = 3600.0  # machines may be emulated, which takes some 15 minutes
EMULATED = Path("/etc/systemd/system/cassandra.service.d/emulated.conf")  # provision writes it
PATIENT = ("-var", "healthy_deadline=10m")
ADVICE = (
    "on a node, `journalctl -u consul -u cassandra -u nomad` shows why; "
    "`vagrant provision` resumes from here"
)


def machines() -> NodeKind:
    """These machines, as one of them sees them: `node/join.py` runs there."""
    webhook = PATIENT if EMULATED.exists() else ()
    return NodeKind(WITHIN_SECONDS, lambda: NAMES, ADVICE, webhook)


def fill(folder: Path, box: str) -> None:
    """Make `folder` the kit for machines made from `box`, or renew it. Raises OSError."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.name not in KEPT:
            shutil.rmtree(path, ignore_errors=True)  # what is no longer there would be read
    kit.fill(folder, architecture(), PYTHON)
    _place_debian(folder, box)


def choose_access() -> None:
    """Make the secrets that the machines share; none if OPEN is 1.

    Machines that are there stay what they are, unless it is set; ones that run, in any case. Raises
    OSError, ClusterError.
    """
    there = any(ROOT.glob(".vagrant/machines/*/*/id"))
    wanted = {"": None, "0": True, "1": False}.get(word := os.environ.get(OPEN, ""), word)
    if isinstance(wanted, str):
        raise ClusterError(f"{OPEN}={word}: allowed is 1 (open) or 0 (closed)")
    runs = there and (wanted is None or any(map(_runs, NODES)))
    turn = f"vagrant halt, then {OPEN}={word} vagrant up --provision"
    settings.choose(ACCESS, wanted=wanted, runs=runs, turn=turn)


def release(version: str) -> None:
    """Add a release of this checkout to the kit. Raises OSError."""
    kit.add_release(KIT, version, architecture(), PYTHON)


def keep(folder: Path, box: str, archive: Path) -> None:
    """Keep the Debian packages in the tar file `archive`, for the kit in `folder` and later ones.

    They are for machines made from `box`. Raises OSError.
    """
    _kept(box).mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as packages:
        for member in packages:
            if file := packages.extractfile(member):
                with file, (_kept(box) / Path(member.name).name).open("wb") as package:
                    shutil.copyfileobj(file, package)
    say("kept the Debian packages that it fetched, for the other machines and the next time")
    _place_debian(folder, box)


def architecture() -> str:
    """The machines' architecture, which is this machine's, as Linux calls it."""
    return {"arm64": "aarch64"}.get(platform.machine(), platform.machine())


def _place_debian(folder: Path, box: str) -> None:
    shutil.rmtree(folder / "debian", ignore_errors=True)
    if _kept(box).exists():
        kit.mirror(_kept(box), folder / "debian")


def _runs(node: Node) -> bool:
    """Whether the node's Consul takes connections."""
    try:
        socket.create_connection((node.address, CONSUL_PORT), LOOK_SECONDS).close()
    except OSError:
        return False
    return True


def _kept(box: str) -> Path:
    return cache() / "debian-packages" / f"{re.sub('[^0-9A-Za-z.]+', '-', box)}-{architecture()}"
