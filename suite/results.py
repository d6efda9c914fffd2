"""The results of a stage, from the report that pytest writes in JUnit's format."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from suite.stages import clock


@dataclass(frozen=True)
class Test:
    """One test; `skipped` is the reason if it was."""

    name: str
    seconds: float
    failed: bool
    skipped: str | None


@dataclass(frozen=True)
class Results:
    """All tests of a stage that have ended, and how long it took, in seconds."""

    stage: str
    seconds: float
    tests: tuple[Test, ...]

    @property
    def failed(self) -> int:
        return sum(test.failed for test in self.tests)

    @property
    def skipped(self) -> int:
        return sum(test.skipped is not None and not test.failed for test in self.tests)

    @property
    def passed(self) -> int:
        return len(self.tests) - self.failed - self.skipped

    def __str__(self) -> str:
        parts = [f"{self.passed} passed", f"{self.failed} failed", f"{self.skipped} skipped"]
        return f"{self.stage}: {', '.join(parts)} in {clock(self.seconds)}"


def read_results(stage: str, report: Path, seconds: float) -> Results:
    """The results in `report`; none where pytest ended before it wrote one."""
    if not report.exists():
        return Results(stage, seconds, ())
    tests: dict[str, Test] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest's own
        if case.get("name") is None:  # it was interrupted
            continue
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        skipped = case.find("skipped")
        test = Test(
            name,
            float(case.get("time", 0)),
            case.find("failure") is not None or case.find("error") is not None,
            None if skipped is None else str(skipped.get("message")),
        )
        before = tests.get(name)  # a test that fails and whose end fails too has two entries
        tests[name] = test if before is None or not before.failed else before
    return Results(stage, seconds, tuple(tests.values()))
