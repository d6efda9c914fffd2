"""Make a release: a folder from which a node runs the receiver and the load generator.

It has the pinned packages and this checkout's webhook/ and tgibf/, and needs only Python:
PYTHONPATH=$(scripts/package) python3 -m webhook. It is in the cache; its path is printed.
If you make a version again from changed sources, it replaces the one before.
"""

import argparse
import platform

from artifacts.release import ARCHITECTURES, PYTHON, provide_release
from tools.say import fail


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", metavar="V", help="its version (default: pyproject.toml's)")
    parser.add_argument(
        "--python", default=PYTHON, help="the nodes' Python version (default %(default)s)"
    )
    parser.add_argument(
        "--arch",
        default=platform.machine(),
        help=f"the nodes' architecture, {' or '.join(ARCHITECTURES)} (default: this machine's)",
    )
    arguments = parser.parse_args()
    try:
        print(provide_release(arguments.version, arguments.python, arguments.arch))
    except OSError as error:
        fail(f"{error}; XDG_CACHE_HOME names another place for the cache")
    return 0
