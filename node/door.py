"""Starts this node's Fabio once it would have routes, and closes its door politely.

A Fabio that starts without routes closes connections; one that is told to end resets those it has
not taken yet (node/closing.py). It waits until its port is free, too: on a node that was believed
dead, the previous Fabio may still serve its open connections.
"""

import argparse
import time
from http.client import HTTPConnection, HTTPException

from cluster.layout import ROUTES_PORT, TRAFFIC_PORT, VIEW_PORT
from node.closing import run
from tools.network import wait_until_free

ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- FABIO")
    command = [word for word in parser.parse_args().command if word != "--"]
    if not command:
        parser.error("which Fabio? Give its command: -- /opt/teracompra/bin/fabio ...")
    wait_until_free(TRAFFIC_PORT, ROUTES_PORT)
    wait_for_routes()
    return run(command, TRAFFIC_PORT)


def wait_for_routes() -> None:
    """Return when routes are served."""
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", VIEW_PORT, timeout=ANSWER_SECONDS)
            connection.request("GET", "/routes")
            connection.getresponse().read()
        except (OSError, HTTPException):
            time.sleep(PAUSE_SECONDS)
        else:
            return
