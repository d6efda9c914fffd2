"""Fixtures for tests of what goes over the wire."""

from collections.abc import Iterator

import pytest

from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One receiver for the tests that leave no trace but events."""
    with Receiver(tmp_path_factory.mktemp("shared") / "events.db") as running:
        yield running


@pytest.fixture
def connection(shared: Receiver) -> Iterator[RawConnection]:
    with RawConnection(shared.port) as raw:
        yield raw
