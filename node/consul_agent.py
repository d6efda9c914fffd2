"""Become this node's Consul agent, with an identity that outlives its disk.

By default an agent generates a random identity and keeps it on its disk. A node that comes back
with an empty disk then has a new identity, and may not take the node's name as long as Consul
believes that the node is alive. If it came back at once, that is forever, and what the node no
longer runs stays listed as healthy. So the identity is derived from the host name, unless there is
one already.
"""

import argparse
import os
import socket
import uuid
from pathlib import Path

CONSUL = "/opt/teracompra/bin/consul"
IDENTITY = Path("/var/lib/consul/node-id")  # where Consul keeps it: its data_dir
SPACE = uuid.UUID("5f5ee1e8-5f0f-5d2c-9ac6-6d5e7f1c7b0e")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="those of `consul`")
    arguments = parser.parse_args().arguments
    if not IDENTITY.exists():
        IDENTITY.parent.mkdir(parents=True, exist_ok=True)
        new = IDENTITY.with_suffix(".new")
        new.write_text(str(uuid.uuid5(SPACE, socket.gethostname())))
        new.replace(IDENTITY)
    os.execv(CONSUL, [CONSUL, *arguments])
