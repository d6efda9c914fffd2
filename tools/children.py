"""Child processes that no stop leaves behind."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tools.stops import stops_put_off


@contextmanager
def child(args: Sequence[object], **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A process for the length of the block; what an exception cuts short is killed.

    A stop that comes while it starts is heard once it is known: in `Popen` itself an exception
    would leave a process that nobody knows.
    """
    process: subprocess.Popen[str] | None = None
    try:
        with stops_put_off():
            process = subprocess.Popen([str(word) for word in args], text=True, **options)
        yield process
    except BaseException:
        if process is not None:
            process.kill()
        raise
    finally:
        if process is not None:
            with process:  # closes its pipes, and waits
                pass


def outcome(args: Sequence[object], **options: Any) -> "subprocess.CompletedProcess[str]":
    """As `subprocess.run` with its output, of a child that no stop leaves behind."""
    pipe = subprocess.PIPE
    with child(args, stdout=pipe, stderr=pipe, **options) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
