"""The routes of this node's Fabio: the instances of the webhook that can be used from here.

Serves them at port 9997 until SIGTERM. It waits until the port is free: on a node that was believed
dead, the previous one may still serve.

It runs with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse

from cluster.layout import VIEW_PORT
from tools.network import wait_until_free


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    import asyncio
    import logging

    from cluster.routing.service import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    wait_until_free(VIEW_PORT)
    asyncio.run(serve())
    return 0
