"""The cluster, for all tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.linux.namespace import missing
from harness.cluster import Cluster
from tests.support.browser import browser, page, witness

__all__ = ["browser", "page", "witness"]

HERE = Path(__file__).parent
SECONDS = 1800  # programs that are not in the cache yet are built, which takes most of that

Say = Callable[[str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test's time has the start of the cluster in it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="package")
def running_cluster() -> Iterator[Cluster]:
    """The one that runs already, which goes on afterwards, or one that ends and leaves nothing."""
    if reason := missing():
        pytest.skip(f"no nodes here: {reason}")
    cluster = Cluster()
    ours = not cluster.runs
    try:
        cluster.up()
        yield cluster
    finally:
        if ours:
            cluster.down()


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """The cluster, all of it well."""
    running_cluster.restore()
    return running_cluster


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Prints a line of a test's result."""

    def print_(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="")

    return print_
