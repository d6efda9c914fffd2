"""From three nodes to a running webhook: apply the schema, run Fabio and the webhook, wait.

Every virtual machine runs it when it is provisioned. If another node is missing, it does nothing:
the last node does it. What has been done already is left as it is.

It runs with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse
import socket
import time

from cluster.layout import CONSUL_PORT, NODES, ClusterError, Node
from tools.network import interface_address
from tools.say import fail, say

OWN_SECONDS = 120.0
OTHERS_SECONDS = 5.0


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
    from cluster.nodes.virtual import machines
    from cluster.up import run_jobs

    display = Display()
    try:
        run_jobs(machines(), display)
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
