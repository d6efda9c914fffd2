"""A plugin of pytest for `scripts/test`: a test's stage, and the tests of some stages alone."""

from pathlib import Path

import pytest

from suite.plan import PLAN_OPTION, STAGE_OPTION, Plan
from suite.stages import BY_NAME, stage_of
from tools.root import ROOT

TESTS = ROOT / "tests"
STAGE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        STAGE_OPTION,
        choices=BY_NAME,
        action="append",
        default=[],
        help="only the tests of a stage, or of several",
    )
    parser.addoption(PLAN_OPTION, type=Path, help="write which stages have tests")


def words(item: pytest.Item) -> set[str]:
    """A test's fixtures and marks, and what these name."""
    marks = [word for mark in item.iter_markers() for word in (mark.name, *mark.args)]
    return {*getattr(item, "fixturenames", ()), *(word for word in marks if isinstance(word, str))}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tell each test's stage, and keep those that are wanted."""
    for item in items:
        item.stash[STAGE] = stage_of(item.path.relative_to(TESTS), words(item))
    if wanted := config.getoption(STAGE_OPTION):
        others = [item for item in items if item.stash[STAGE] not in wanted]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.stash[STAGE] in wanted]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the plan, where it is asked for."""
    plan: Path | None = session.config.getoption(PLAN_OPTION)
    if plan is not None:
        found = ((one.stash[STAGE], str(one.path.relative_to(ROOT))) for one in session.items)
        Plan.of(found).write(plan)
