"""The box and its disk; what takes long only where it is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.box import box_path, provide_box
from support.virtual import fill
from tests.vagrant.container import Disk


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--machines",
        action="store_true",
        help="make the box if it is not there, and bring up virtual machines: an hour",
    )


@pytest.fixture(scope="session")
def asked(request: pytest.FixtureRequest) -> bool:
    """Whether what takes long was asked for."""
    return bool(request.config.getoption("--machines", default=False))


@pytest.fixture(scope="session")
def box(asked: bool) -> Path:
    """The project's own box; made where it was asked for, else the one that there is."""
    if asked:
        return provide_box()
    if not box_path().exists():
        pytest.skip("needs the box: scripts/box build")
    return box_path()


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
