"""A cluster of as many nodes as a module's NODES says, or the one that runs already."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.linux.namespace import missing
from harness.kubernetes import COMMAND_SECONDS, Lab
from kubelab.host import SETTINGS
from kubelab.layout import nodes
from tests.support.staging import words


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test has the start of the cluster in its time."""
    for item in items:
        if "kubernetes" in words(item):
            item.add_marker(pytest.mark.timeout(COMMAND_SECONDS))


@pytest.fixture(scope="module")
def kubernetes(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The one that runs already, which goes on afterwards, or one that ends and leaves nothing."""
    count: int = request.module.NODES
    if reason := missing():
        pytest.skip(f"no nodes here: {reason}")
    lab = Lab()
    ours = not lab.runs
    if not ours and len(nodes()) != count:
        pytest.skip(f"a cluster of {len(nodes())} nodes runs, and these are for {count}")
    before = settings()
    try:
        if ours:
            print(lab.up(count))
        yield lab
    finally:
        if ours:
            lab.down()
            assert settings() == before


def settings() -> dict[str, str]:
    """The machine's own, which kubelets change."""
    return {name: Path("/proc/sys", name).read_text() for name in SETTINGS}
