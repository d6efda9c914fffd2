"""From three nodes to a running webhook: apply the schema, run Fabio and the webhook, wait.

Every virtual machine runs it when it is provisioned. If another node is missing, it does nothing:
the last node does it. What has been done already is left as it is.

It runs with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse
import socket
import time
from pathlib import Path

from cluster.layout import CONSUL_PORT, NODES, ClusterError, Node
from tools.network import interface_address
from tools.say import fail, say

OWN_SECONDS = 120.0
OTHERS_SECONDS = 5.0
WITHIN_SECONDS = 3600.0  # machines may be emulated, which takes some 15 minutes
EMULATED = Path("/etc/systemd/system/cassandra.service.d/emulated.conf")  # provision writes it
PATIENT = ("-var", "healthy_deadline=10m")
ADVICE = (
    "on a node, `journalctl -u consul -u cassandra -u nomad` shows why; "
    "`vagrant provision` resumes from here"
)


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    own = interface_address("eth1")
    absent = [
        node.name
        for node in NODES
        if not answers(node, OWN_SECONDS if node.address == own else OTHERS_SECONDS)
    ]
    if absent:
        say(f"not there yet: {', '.join(absent)}; schema and jobs wait for them")
        return 0
    from cluster.display import Display
    from cluster.nodes.kind import NAMES, NodeKind
    from cluster.up import run_jobs

    display = Display()
    try:
        webhook = PATIENT if EMULATED.exists() else ()
        run_jobs(NodeKind(WITHIN_SECONDS, lambda: NAMES, ADVICE, webhook), display)
    except ClusterError as error:
        fail(str(error))
    say(f"all nodes are well, after {display.seconds:.0f} s")
    return 0


def answers(node: Node, seconds: float) -> bool:
    """Whether its Consul takes connections, within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((node.address, CONSUL_PORT), seconds).close()
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        else:
            return True
