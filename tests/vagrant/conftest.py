"""The box, its disk, and what nodes run; what takes long only where it is asked for."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.nodes.virtual import fill
from tests.vagrant.container import Disk
from tools.root import ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--machines",
        action="store_true",
        help="the tests that boot machines, too: an hour",
    )
    parser.addoption(
        "--load-minutes",
        type=int,
        default=10,
        metavar="N",
        help="how long the load test of machines takes (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def box(request: pytest.FixtureRequest) -> Path:
    """The project's own box, made if it is not there. Skips unless what takes long is asked for."""
    if not request.config.getoption("--machines", default=False):
        pytest.skip("takes long: scripts/test vagrant")
    command = [str(ROOT / "scripts" / "box"), "build"]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


@pytest.fixture
def load_minutes(request: pytest.FixtureRequest) -> int:
    """How long the load test of machines takes, in minutes."""
    minutes: int = request.config.getoption("--load-minutes", default=10)
    return minutes


@pytest.fixture(scope="session")
def disk(box: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """The disk in the box, for containers to boot from."""
    unpacked = Disk(box, tmp_path_factory.mktemp("disk"))
    yield unpacked
    unpacked.remove()


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every machine has at /opt/teracompra."""
    folder = tmp_path_factory.mktemp("kit")
    fill(folder, "a box that nobody has")
    return folder
