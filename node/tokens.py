"""Lines for a shell, after which `nomad` and `consul` may change this cluster; none if it is open.

A login on a virtual machine reads them. It runs as root, with PYTHONPATH=/opt/teracompra/packages.
"""

import argparse

from cluster.layout import ClusterError
from tools.say import fail


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    from cluster.access.grants import exported_tokens

    try:
        print("\n".join(exported_tokens()))
    except ClusterError as error:
        fail(str(error))
    return 0
