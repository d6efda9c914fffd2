"""A ring leaves nothing behind, whichever way it ends, and refuses to begin where it can't be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.ring import HOST, INTERFACE, SHORT_LIVED, Ring, RingError
from harness.waiting import wait_for
from tools.root import ROOT

pytestmark = pytest.mark.usefixtures("no_shared_ring")

OWNER = """
import sys, time
from pathlib import Path
from harness.ring import Ring
with Ring(Path(sys.argv[1]), nodes=1) as ring:
    print(ring.pid(1), flush=True)
    time.sleep(600)
"""


def leftovers(directory: Path) -> list[str]:
    """Processes, mounts and interfaces of the ring below `directory`, one line each."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts = (process / "mountinfo").read_text()
            command = (process / "cmdline").read_text()
        except OSError:
            continue  # it ended meanwhile
        if str(directory) in mounts:
            found.append(f"process {process.name}: {command}")
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    found += [line for line in links.stdout.splitlines() if INTERFACE in line]
    addresses = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True)
    return found + [line for line in addresses.stdout.splitlines() if f" {HOST}/" in line]


def test_an_end_in_order_leaves_nothing(tmp_path: Path) -> None:
    with Ring(tmp_path, nodes=1, jvm_options=SHORT_LIVED):
        assert leftovers(tmp_path)
    assert leftovers(tmp_path) == []


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Ring(tmp_path, nodes=1, jvm_options=SHORT_LIVED),
    ):
        raise ZeroDivisionError
    assert leftovers(tmp_path) == []


def test_a_node_that_can_not_start_leaves_nothing_and_shows_its_log(tmp_path: Path) -> None:
    ring = Ring(tmp_path, nodes=1, settings={"commitlog_sync": "sometimes"})
    with pytest.raises(RingError, match="sometimes"):
        ring.start()
    assert leftovers(tmp_path) == []


def test_sigkill_of_its_owner_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline()
        assert leftovers(tmp_path)
        owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not leftovers(tmp_path), "the end of everything")
    # The next one begins where that one ended.
    with Ring(tmp_path, nodes=1, jvm_options=SHORT_LIVED) as ring:
        assert ring.nodetool(1, "status")


def test_a_folder_in_memory_is_refused() -> None:
    directory = Path("/dev/shm") / f"teracompra-ring-{os.getpid()}"
    try:
        with pytest.raises(RingError, match="is on tmpfs"):
            Ring(directory, nodes=1).start()
    finally:
        directory.rmdir()


def test_a_network_that_is_taken_is_refused(tmp_path: Path) -> None:
    add = ["ip", "link", "add", "taken0", "type", "veth", "peer", "name", "taken1"]
    subprocess.run(add, check=True)
    try:
        address = ["ip", "addr", "add", "192.168.56.200/24", "dev", "taken0"]
        subprocess.run(address, check=True)
        subprocess.run(["ip", "link", "set", "taken0", "up"], check=True)
        with pytest.raises(RingError, match=r"192.168.56.0/24 is in use.*\n.*taken0"):
            Ring(tmp_path, nodes=1).start()
    finally:
        subprocess.run(["ip", "link", "del", "taken0"], check=True)
    assert leftovers(tmp_path) == []


def test_a_second_ring_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with (
        Ring(tmp_path / "one", nodes=1, jvm_options=SHORT_LIVED),
        pytest.raises(RingError, match="has a ring already"),
    ):
        Ring(tmp_path / "two", nodes=1).start()
