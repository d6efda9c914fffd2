"""Make a release: a folder that a node runs the receiver and the load generator from.

It holds the pinned packages and this checkout's webhook/ and tgibf/, and needs nothing but
Python: PYTHONPATH=$(scripts/package) python3 -m webhook. It lies in the cache; its path is printed.
The same version again from changed sources takes the place of the one before.
"""

import argparse
import platform

from artifacts.release import ARCHITECTURES, PYTHON, provide_release
from tools.say import fail


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", metavar="V", help="its name (default: pyproject.toml's)")
    parser.add_argument("--python", default=PYTHON, help="the nodes' (default %(default)s)")
    parser.add_argument(
        "--arch",
        default=platform.machine(),
        help=f"{' or '.join(ARCHITECTURES)}, the nodes' (default: this machine's)",
    )
    arguments = parser.parse_args()
    try:
        print(provide_release(arguments.version, arguments.python, arguments.arch))
    except OSError as error:
        fail(f"{error}; XDG_CACHE_HOME names another place for the cache")
    return 0
