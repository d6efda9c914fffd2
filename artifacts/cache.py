"""Where scripts keep what they fetched or made: outside the repository, for the next time."""

import os
from pathlib import Path


def cache() -> Path:
    """The folder, whether it is there yet or not."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "teracompra-events"
