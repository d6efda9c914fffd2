"""Give an agent of this node a copy of its own secrets, in a folder that it can read.

What the cluster's nodes are given is root's (/var/lib/teracompra/access), and what brings it to a
machine makes it root's again. So an agent that is not root has its part a second time, as
/var/lib/teracompra/agents/AGENT: it can read that, and change nothing. Done again, it renews what
has changed, and removes what is gone.

Run it as root, before each start of the agent and before it is told to read its files again.
"""

import argparse
import os
from pathlib import Path

from cluster.access.secrets import AGENTS_OWN, ON_NODE, write_private

STATES = Path("/var/lib")
AGENT_READS = {".json", ".pem"}
"""The rest is for people: how the manager logs in to Cassandra."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("agent", help="its state is /var/lib/AGENT: whose group that is, may read")
    agent = parser.parse_args().agent
    AGENTS_OWN.mkdir(parents=True, exist_ok=True)
    for folder in (AGENTS_OWN.parent, AGENTS_OWN):
        folder.chmod(0o755)
    give(ON_NODE / agent, AGENTS_OWN / agent, (STATES / agent).stat().st_gid)
    return 0


def give(given: Path, own: Path, group: int) -> None:
    """Make `own` a copy of the folder `given`, for this user to change and for `group` to read.

    Where the files name the one folder, the copies name the other. Raises OSError.
    """
    own.mkdir(mode=0o700, exist_ok=True)
    os.chown(own, -1, group)
    own.chmod(0o750)
    files = given.iterdir() if given.exists() else ()
    texts = {
        file.name: file.read_text().replace(str(given), str(own))
        for file in files
        if file.suffix in AGENT_READS
    }
    for file in own.iterdir():
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        _keep(own / name, text, group)


def _keep(file: Path, text: str, group: int) -> None:
    """Have the file say this, all of it at once; one that does so already stays as it is."""
    if file.exists() and file.stat().st_gid == group and file.read_text() == text:
        return
    write_private(file, text, 0o640, group)
