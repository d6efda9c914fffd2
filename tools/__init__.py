"""What the scripts share. Standard library only: it runs before anything is installed.

Every script first imports something from it, and so ends here if Python is too old. For that, all
of a script must parse under Python 3.6, and so must this file. The modules beside it need not.
"""

import os
import sys

NEEDED = (3, 11)
OURS = "localhost,127.0.0.1,192.168.56.11,192.168.56.12,192.168.56.13"

if sys.version_info < NEEDED:
    sys.stderr.write(
        "error: this is Python %s; run it with Python %d.%d or later\n"  # noqa: UP031
        % ((sys.version.split()[0],) + NEEDED)  # noqa: RUF005
    )
    sys.exit(1)

# If a standard stream was closed at the start, its number would go to the next file or socket:
# what is printed would land there.
for number in range(3):
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one

# A proxy that the environment names is for the world outside, not for what runs here.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), OURS]))

# It takes the working directory out of the path, where a child with `-m PACKAGE` finds ours.
os.environ.pop("PYTHONSAFEPATH", None)
