"""Settings without which answers come late: of the collector, the backlog, the ring's sockets.

What each stall looked like is in docs/root-cause.
"""

import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.strace import needs_strace

EVENT = b'{"type": "call.new"}'
CLOSED = 500
OPEN = 400


def passes(receiver: Receiver) -> float:
    """How often the garbage collector has looked at the youngest objects."""
    return receiver.metric('python_gc_collections_total{generation="0"}')


def freed(receiver: Receiver) -> float:
    """How many objects it was the garbage collector's to free."""
    name = 'python_gc_objects_collected_total{{generation="{}"}}'
    return sum(receiver.metric(name.format(generation)) for generation in range(3))


def test_garbage_is_collected_often_and_little(receiver: Receiver) -> None:
    """A pass looks at a few thousand objects, and connections that ended are not among them."""
    passes_before, freed_before = passes(receiver), freed(receiver)
    for _ in range(CLOSED):
        with RawConnection(receiver.port) as raw:
            raw.send(post(EVENT, "Connection: close"))
            assert raw.answer().status == 200
    with ExitStack() as stack:
        for _ in range(OPEN):
            stack.enter_context(RawConnection(receiver.port)).send(post(EVENT)[:-1])
        wait_for(lambda: receiver.metric("webhook_open_connections") >= OPEN, "all are open", 30)
        assert passes(receiver) > passes_before
        assert freed(receiver) - freed_before < CLOSED


def test_the_backlog_is_as_long_as_the_kernel_allows(receiver: Receiver) -> None:
    listing = ["ss", "-Hltn", f"sport = :{receiver.port}"]
    listener = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    allowed = Path("/proc/sys/net/core/somaxconn").read_text().strip()
    assert listener[2] == allowed  # State, Recv-Q, Send-Q


@needs_strace
def test_no_write_to_the_ring_waits_for_an_acknowledgement(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-yy", "-o", str(trace), "-e", "trace=setsockopt")
    with socket.create_server(("127.0.0.1", 0)) as node:  # accepts, and says nothing
        wanted = f"->127.0.0.1:{node.getsockname()[1]}]>, SOL_TCP, TCP_NODELAY, [1]"
        url = f"cassandra://127.0.0.1:{node.getsockname()[1]}/events"
        with Receiver(url, command=strace):
            wait_for(lambda: wanted in trace.read_text(), "TCP_NODELAY on a connection", 60)
