"""Rings for the tests of a module: there is one set of addresses, so one ring at a time."""

from collections.abc import Iterator

import pytest

from tests.support.ring import SHORT_LIVED, Ring


@pytest.fixture(scope="module")
def lone_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """A ring of one node, without the schema."""
    with Ring(tmp_path_factory.mktemp("ring"), nodes=1, jvm_options=SHORT_LIVED) as ring:
        yield ring


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """A ring of three nodes with the schema in keyspace `faults`."""
    with Ring(tmp_path_factory.mktemp("ring"), nodes=3, jvm_options=SHORT_LIVED) as ring:
        ring.apply_schema("faults")
        yield ring
