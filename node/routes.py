"""The routes of this node's Fabio: the instances of the webhook that can be used from here.

Without a command it serves them at port 9997 until SIGTERM. With a command it waits until they are
served, and becomes that command: a Fabio that started without routes would close connections.

Both wait until their ports are free: on a node that was believed dead, the previous Fabio may still
serve its open connections.

It runs with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse
import os
import time
from http.client import HTTPConnection, HTTPException

from cluster.layout import ROUTES_PORT, TRAFFIC_PORT, VIEW_PORT
from tools.network import listens

ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    command = [word for word in parser.parse_args().command if word != "--"]
    if command:
        wait_until_free(TRAFFIC_PORT, ROUTES_PORT)
        wait_for_routes()
        os.execv(command[0], command)
    import asyncio
    import logging

    from cluster.routing.service import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    wait_until_free(VIEW_PORT)
    asyncio.run(serve())
    return 0


def wait_until_free(*ports: int) -> None:
    """Return when nothing listens at these ports of this machine."""
    told = False
    while taken := [port for port in ports if listens(port)]:
        if not told:
            print(f"waiting until {taken} are free: end whatever listens there", flush=True)
        told = True
        time.sleep(PAUSE_SECONDS)


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
