"""The autoscaler's way to Prometheus, and its watchdog (cluster/autoscaling). Serves until SIGTERM.

It runs with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse
import logging


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    from cluster.autoscaling.gate import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve()
    return 0
