"""What the scripts share. Standard library only: it runs before anything is installed.

Every script imports something of it first, and so ends here where Python is too old. For that, all
of a script must parse under Python 3.6, and so must this file. The modules beside it need not.
"""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    sys.stderr.write(
        "error: this is Python %s; run it with Python %d.%d or later\n"  # noqa: UP031
        % ((sys.version.split()[0],) + NEEDED)  # noqa: RUF005
    )
    sys.exit(1)
