"""By system call: the log is synced before the 200 is sent."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.support.checked_receiver import Receiver
from tests.support.strace import needs_strace

SYNC = re.compile(r"f(data)?sync\(\d+<[^>]*events\.db-wal>")


@needs_strace
def test_the_log_is_written_and_synced_before_the_answer(tmp_path: Path, store_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,write,fdatasync,fsync,sendto,recvfrom"
    strace = ("strace", "-f", "-qq", "-y", "-s", "400", "-o", str(trace), "-e", calls)
    with Receiver(store_path, command=strace) as receiver:
        receiver.post({"type": "call.new", "mark": "needle-in-the-log"})
    lines = trace.read_text().splitlines()
    received = _first(lines, 0, lambda line: "recvfrom" in line and "needle-in-the-log" in line)
    written = _first(lines, received, lambda line: "events.db-wal" in line and "write" in line)
    synced = _first(lines, written, lambda line: bool(SYNC.search(line)))
    answered = _first(lines, received, lambda line: "sendto" in line and "200 OK" in line)
    assert received < written < synced < answered
    done = next(line for line in lines[synced:answered] if "sync" in line and "= 0" in line)
    assert done  # the call had returned, not only begun


def _first(lines: list[str], start: int, wanted: Callable[[str], bool]) -> int:
    return next(n for n, line in enumerate(lines) if n > start and wanted(line))
