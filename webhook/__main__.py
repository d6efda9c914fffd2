"""`python -m webhook`."""

import sys

from webhook.early import prepare

if __name__ == "__main__":
    prepare()
    from webhook.cli import main  # which takes a third of a second

    sys.exit(main())
