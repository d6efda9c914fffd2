"""Fixtures for all tests."""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.linux.namespace import missing
from harness.cluster import Cluster
from harness.ring import NoRingError, Ring
from tests.support.checked_receiver import Receiver
from tests.support.rings import SharedRings
from tests.support.say import Say
from tests.support.staging import words

CLUSTER_SECONDS = 1800  # programs that are not in the cache yet are built
SHARED = ("lone_node", "three_nodes", "rings")
INHERITED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)
PYTHONS_OWN = (
    "PYTHONUNBUFFERED",
    "PYTHONOPTIMIZE",
    "PYTHONWARNINGS",
    "PYTHONDEVMODE",
    "PYTHONSAFEPATH",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="inject each fault many times")
    parser.addoption(
        "--screenshot-of",
        metavar="URL",
        help="write docs/images/live-page.png anew, from the receiver at URL",
    )
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="write the pictures of the cluster in docs/images anew (tests/cluster)",
    )


def pytest_configure() -> None:
    """What a shell's background, nohup or cron may have left to this process, and so to children.

    A signal that was ignored at a process's start is ignored by its children too. Python's own
    settings change what children do: unbuffered, nothing is left that a full disk refused.
    """
    for name in PYTHONS_OWN:
        os.environ.pop(name, None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, every child seems to succeed
    for number in INHERITED:  # but for SIGQUIT what runs is ended, as by Ctrl-C
        quits = number == signal.SIGQUIT
        signal.signal(number, signal.SIG_DFL if quits else signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INHERITED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those who share a ring follow each other, so that it is started once; so do the cluster's.

    The first test of these has the start of the cluster in its time.
    """
    items.sort(key=_ring)
    for item in items:
        if "running_cluster" in words(item):
            item.add_marker(pytest.mark.timeout(CLUSTER_SECONDS))


def _ring(item: pytest.Item) -> int:
    names = words(item)
    if "running_cluster" in names:
        return 1 + len(SHARED)  # last: it has the same addresses, and ends the ring that runs
    shared = [name for name in SHARED if name in names]
    return 1 + SHARED.index(shared[0]) if shared else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """A fixture that can't be had on this machine skips its tests."""
    with _absence_skips():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """The same for what a test makes itself."""
    with _absence_skips():
        yield


@contextmanager
def _absence_skips() -> Iterator[None]:
    try:
        yield
    except NoRingError as error:
        pytest.skip(str(error))


def pytest_runtest_teardown() -> None:
    """What a failed test leaves open is its own: it must not show as an error of a later one.

    The exception of the last failure holds its frames, and they hold sockets and files.
    """
    if hasattr(sys, "last_value"):
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            vars(sys).pop(name, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `round_` runs once, and with `--long` as often as its mark says."""
    if "round_" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("long_rounds")
        rounds = mark.args[0] if mark and metafunc.config.getoption("--long") else 1
        metafunc.parametrize("round_", range(1, rounds + 1))


@pytest.fixture(scope="session")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRings]:
    """Rings of real nodes, one at a time."""
    shared = SharedRings(lambda: tmp_path_factory.mktemp("ring"))
    yield shared
    shared.end()


@pytest.fixture
def lone_node(rings: SharedRings) -> Ring:
    """A ring of one node, without the schema."""
    return rings.of(1)


@pytest.fixture
def three_nodes(rings: SharedRings) -> Ring:
    """A ring of three nodes, without the schema."""
    return rings.of(3)


@pytest.fixture
def no_shared_ring(rings: SharedRings) -> None:
    """The addresses are free for a ring of the test's own."""
    rings.end()


@pytest.fixture(scope="session")
def running_cluster(rings: SharedRings) -> Iterator[Cluster]:
    """The one that runs already, which goes on afterwards, or one that ends and leaves nothing."""
    if reason := missing():
        pytest.skip(f"no nodes here: {reason}")
    rings.end()  # it has the same addresses
    cluster = Cluster()
    ours = not cluster.runs
    with pytest.MonkeyPatch.context() as patch:
        # Nobody measures it: compiled less, its Cassandra is there with half of the CPU time.
        patch.setenv("CASSANDRA_JVM_OPTIONS", "-XX:TieredStopAtLevel=1")
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


@pytest.fixture(scope="session")
def at_length(pytestconfig: pytest.Config) -> None:
    """Skips the test where each fault is injected just once."""
    if not pytestconfig.getoption("--long"):
        pytest.skip("takes long: scripts/test faults")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Prints a line of a test's result."""

    def print_(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="")

    return print_


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a test's SQLite store is."""
    return tmp_path / "events.db"


@pytest.fixture
def receiver(store_path: Path) -> Iterator[Receiver]:
    """A receiver with ordinary settings."""
    with Receiver(store_path) as running:
        yield running
