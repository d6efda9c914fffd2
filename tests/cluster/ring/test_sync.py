"""By system call: a node syncs its commit log before it answers a write.

The same tests with `commitlog_sync: periodic` see the opposite, so they can tell.
"""

import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cassandra import ConsistencyLevel, WriteFailure, WriteTimeout
from cassandra.cluster import NoHostAvailable
from cassandra.query import SimpleStatement

from harness.ring import SHORT_LIVED, Ring
from harness.waiting import wait_for
from tests.support.rings import SharedRings
from tests.support.strace import needs_strace

WRITES = 10
DELAY_SECONDS = 1.0
MODES = {
    "batch": {},  # as in cassandra.yaml
    "periodic": {"commitlog_sync": "periodic", "commitlog_sync_period": "10000ms"},
}
INPUT = "read,readv,recvfrom,recvmsg"
OUTPUT = "write,writev,pwrite64,pwritev,sendto,sendmsg"
SYNCS = "msync,fsync,fdatasync"
INSERT = (
    "INSERT INTO synced.events (minute, lane, seq, events) VALUES "
    "(1, %s, 0, [{received_at: 1, type: 'call.new', call_id: 'a', body: '%s'}])"
)


@contextmanager
def strace(ring: Ring, node: int, *options: str) -> Iterator[None]:
    """Trace a running node."""
    command = ["strace", "-f", "-y", *options, "-p", str(ring.pid(node))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stderr is not None
            attached = tracer.stderr.readline()
            assert "attached" in attached, attached
            yield
        finally:
            tracer.terminate()


def insert(ring: Ring, *marks: str) -> float:
    """Write an event for each mark through node 1 to a quorum; the seconds that it took."""
    with ring.session(1) as session:
        statements = [
            SimpleStatement(
                INSERT % (uuid.uuid4(), mark), consistency_level=ConsistencyLevel.QUORUM
            )
            for mark in marks
        ]
        began = time.monotonic()
        for statement in statements:
            session.execute(statement)
        return time.monotonic() - began


def commit_log(ring: Ring, node: int) -> list[str]:
    """The open files of the node's commit log that are written with O_DSYNC.

    Without any, the commit log is mapped into memory, and synced by msync.
    """
    found = []
    for descriptor in Path(f"/proc/{ring.pid(node)}/fd").iterdir():
        try:
            path = descriptor.readlink()
            flags = (descriptor.parent.parent / "fdinfo" / descriptor.name).read_text()
        except OSError:
            continue  # closed meanwhile
        if path.name.startswith("CommitLog-"):
            assert int(flags.split()[3], 8) & os.O_DSYNC, flags
            found.append(str(path))
    return found


def injected(ring: Ring, node: int, what: str) -> list[str]:
    """The options that do `what` to the syncs of the node's commit log, and to nothing else."""
    paths = commit_log(ring, node)
    calls = OUTPUT if paths else SYNCS
    only = [word for path in paths for word in ("-P", path)]
    return ["-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{what}", *only]


def whole(lines: list[str], number: int) -> str:
    """The line, after its beginning if other threads' calls came in between."""
    line = lines[number]
    thread, call = line.split(maxsplit=1)
    if not call.startswith("<... "):
        return line
    before = reversed(lines[:number])
    return next(other for other in before if other.split(maxsplit=1)[0] == thread) + line


def is_synced_before_the_answer(lines: list[str], mark: str) -> bool:
    """Whether a sync began after the write with `mark` came in and returned before its answer."""
    received = next(n for n, line in enumerate(lines) if f"'{mark}'" in line)
    client = re.search(r"\((\d+<[^>]*>)", whole(lines, received))
    assert client is not None, lines[received]
    answer = re.compile(rf"({OUTPUT.replace(',', '|')})\({re.escape(client[1])}")
    sync = re.compile(rf"({SYNCS.replace(',', '|')})\(|p?write(64|v)?\(\d+<[^>]*/CommitLog-")
    begun: set[str] = set()  # threads in a sync that began after the write came in
    for line in lines[received + 1 :]:
        thread, call = line.split(maxsplit=1)
        if answer.match(call):
            return False
        returned = sync.match(call) or (call.startswith("<... ") and thread in begun)
        begun.discard(thread)
        if returned and "<unfinished" in call:
            begun.add(thread)
        elif returned:
            assert " = -1 " not in call, line
            return True
    raise AssertionError(f"no answer to {mark}:\n" + "\n".join(lines[received:]))


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ring(mode: str, rings: SharedRings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """A ring of two nodes, both of which a quorum needs."""
    rings.end()
    directory = tmp_path_factory.mktemp("ring")
    with Ring(directory, 2, settings=MODES[mode], jvm_options=SHORT_LIVED) as running:
        running.apply_schema("synced", replication=2)
        yield running


@needs_strace
def test_the_commit_log_is_synced_before_the_client_is_answered(
    ring: Ring, mode: str, tmp_path: Path
) -> None:
    # 1. Writes, and the calls of the node that takes them, stores them, and answers.
    marks = [f"mark-{number}" for number in range(WRITES)]
    trace = tmp_path / "trace"
    calls = f"trace={SYNCS},{OUTPUT},{INPUT}"
    with strace(ring, 1, "-s", "1000", "-o", str(trace), "-e", calls):
        insert(ring, *marks)
    # 2. Result: each was synced first; or, by timer, none or hardly any.
    lines = trace.read_text(errors="replace").splitlines()
    synced = [is_synced_before_the_answer(lines, mark) for mark in marks]
    assert all(synced) if mode == "batch" else synced.count(True) <= 2


@needs_strace
def test_a_quorum_waits_for_the_other_node_s_sync(ring: Ring, mode: str) -> None:
    insert(ring, "warm")
    delay = f"delay_enter={round(DELAY_SECONDS * 1e6)}"
    with strace(ring, 2, *injected(ring, 2, delay)):
        seconds = insert(ring, "slow")
    # Result: the answer came after the sync; or, by timer, without it.
    assert seconds >= DELAY_SECONDS if mode == "batch" else seconds < DELAY_SECONDS / 2


@needs_strace
def test_a_node_that_can_not_sync_ends_and_has_not_answered(ring: Ring, mode: str) -> None:
    with strace(ring, 2, *injected(ring, 2, "error=EIO")):
        if mode == "batch":
            with pytest.raises((WriteFailure, WriteTimeout, NoHostAvailable)):
                insert(ring, "lost")
        else:
            insert(ring, "lost")  # acknowledged, and lost
        # Result: the node is gone, and says why.
        wait_for(lambda: not ring.runs(2), "the end of node 2", 30)
    assert "Exiting forcefully" in ring.log(2)
