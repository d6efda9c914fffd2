"""Words to the user, on stderr; results go to stdout."""

import sys
from typing import NoReturn


def say(text: str) -> None:
    """Print what is being done."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def fail(text: str, code: int = 1) -> NoReturn:
    """Print what went wrong and what to do next; end the script."""
    print(f"error: {text}", file=sys.stderr, flush=True)
    sys.exit(code)
