"""What pytest tells `scripts/test` before a run: which stages have the requested tests."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PLAN_OPTION = "--plan"
STAGE_OPTION = "--stage"


@dataclass(frozen=True)
class Plan:
    """The files of each stage, and how many tests it has."""

    files: dict[str, list[str]]
    tests: dict[str, int]

    @classmethod
    def of(cls, tests: Iterable[tuple[str, str]]) -> Self:
        """From each test's stage and file."""
        files: dict[str, list[str]] = {}
        numbers: Counter[str] = Counter()
        for stage, file in tests:
            numbers[stage] += 1
            if file not in files.setdefault(stage, []):
                files[stage].append(file)
        return cls(files, dict(numbers))

    @classmethod
    def read(cls, path: Path) -> Self:
        """As `write` left it."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Leave it in a file."""
        path.write_text(json.dumps({"files": self.files, "tests": self.tests}))
