"""Names that one process alone can look up, as its own /etc/hosts has them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

MOUNT = 'mount --bind "$0" /etc/hosts && exec "$@"'


class HostsFile:
    """The /etc/hosts of the process that is started by `command`; skips the test without root."""

    def __init__(self, file: Path, addresses: Mapping[str, str] | None = None) -> None:
        """`file` is made, with `addresses` by name beside localhost."""
        if os.geteuid():
            pytest.skip("only root may mount a file over /etc/hosts")
        self._file = file
        self.set(addresses or {})
        self.command = ["unshare", "--mount", "sh", "-c", MOUNT, str(file)]

    def set(self, addresses: Mapping[str, str]) -> None:
        """Have these names from now on, and no others."""
        lines = [f"{address} {name}" for name, address in addresses.items()]
        self._file.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
