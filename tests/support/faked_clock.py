"""A process whose wall clock is wrong, by libfaketime; its monotonic clock is right."""

from pathlib import Path

import pytest


class FakedClock:
    """The clock of the process that is started by `command`; skips the test without libfaketime."""

    def __init__(self, file: Path, seconds: int = 0) -> None:
        """`file` is made, and holds by how many seconds the clock is ahead."""
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        if library is None:
            pytest.skip("libfaketime is not installed")
        self._file = file
        self.set(seconds)
        self.command = [
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={file}",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "FAKETIME_CACHE_DURATION=1",
        ]

    def set(self, seconds: int) -> None:
        """Have the clock so many seconds ahead; the process notices within a second."""
        self._file.write_text(f"{seconds:+d}")
