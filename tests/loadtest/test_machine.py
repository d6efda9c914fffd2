"""The figures of this machine, among whatever processes it has."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.waiting import wait_for
from loadtest.watch.machine import Machine
from tools.root import ROOT

NAMED = """
import sys
with open("/proc/self/comm", "wb") as file:
    file.write(b"\\xff) \\xfe")
print("named", flush=True)
sys.stdin.read()
"""
# As somebody who may not look at root's processes.
HIDDEN = """
import os
from harness.waiting import wait_for
from loadtest.watch.machine import Machine
machine = Machine("lo", dict)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
try:
    open("/proc/1/stat")
except PermissionError:
    print("hidden")
(sample,) = wait_for(machine.take, "a sample", 10)
print(sample.seconds > 0)
"""
# A /proc of a process namespace's own: that of the machine stays as it is.
HIDING = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec")
HIDES = 'mount -t proc -o hidepid=1 proc /proc; "$@"'


@contextmanager
def named() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name is no text."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", NAMED], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"named\n"
        yield process


def test_a_process_with_any_name_is_no_fault() -> None:
    with named() as process:
        machine = Machine("lo", lambda: {"odd": process.pid})
        (sample,) = wait_for(machine.take, "a sample", 10)
        process.communicate()
    assert sample.seconds > 0
    assert sample.memory_available_bytes > 0
    assert "odd" in sample.generators


def test_processes_that_are_hidden_are_no_fault() -> None:
    tried = subprocess.run([*HIDING, HIDES, "sh", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no /proc of its own here: {tried.stderr.decode().strip()}")
    command = [*HIDING, HIDES, "sh", sys.executable, "-c", HIDDEN]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "hidden\nTrue\n", done.stderr
