"""Where scripts keep what they fetched or made: outside the repository, for the next time."""

import os
from pathlib import Path

from tools.say import fail


def cache() -> Path:
    """The folder, whether it is there yet or not. Ends the script if there can be none."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(base or Path.home() / ".cache") / "teracompra-events"
    except RuntimeError:
        fail("this user has no home directory: set XDG_CACHE_HOME to a folder that may be written")
