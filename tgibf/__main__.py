"""`python -m tgibf`."""

import sys

from tgibf.cli import main

if __name__ == "__main__":
    sys.exit(main())
