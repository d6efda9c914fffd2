"""What the scripts share. Standard library only: it runs before anything is installed.

Every script imports something of it first, and so ends here where Python is too old. Until then a
script, and this file, is only what any Python 3 understands.
"""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    sys.stderr.write(
        "error: this is Python %s; run it with Python %d.%d or later\n"  # noqa: UP031
        % ((sys.version.split()[0],) + NEEDED)  # noqa: RUF005
    )
    sys.exit(1)
