"""How the process begins and ends, however it was started and whoever reads its output."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

READER_GONE = 128 + 13  # as a shell shows a program that SIGPIPE has ended
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What a full disk may say, or a stream that was opened for reading alone."""


def begin() -> None:
    """Have the three standard streams, and hear a stop before there is anything to stop.

    Where a stream was closed its number would go to the next file or socket. The first process of a
    container hears only signals that it has a handler for. A parent may have left them blocked.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            setattr(sys, name, os.fdopen(opened, "r" if name == "stdin" else "w", closefd=False))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os._exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a child that fails must be seen to


def end_without(missing: ModuleNotFoundError) -> NoReturn:
    """End because a package is not installed; say how to get it."""
    print(
        f"error: this Python has no {missing.name}; in a checkout run scripts/demo once, then "
        ".venv/bin/python -m tgibf",
        file=sys.stderr,
    )
    sys.exit(2)


def end_with(main: Callable[[], int]) -> NoReturn:
    """Run `main`, and end with its exit code.

    If the reader of its output has gone, as in `tgibf URL | head`, it ends quietly. If the
    output can't be written, as on a full disk, one line says so.
    """
    code: object
    try:
        try:
            code = main()
        except SystemExit as leaving:
            code = leaving.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = READER_GONE
        _silence(1, 2)
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:
            raise
        _silence(1)
        with suppress(OSError):
            print(f"the summary could not be printed: {error.strerror}", file=sys.stderr)
        code = 1
    _drop_what_stderr_refused()
    sys.exit(code)


def _drop_what_stderr_refused() -> None:
    """What is still in its buffer would be tried again at the exit, which then had code 120."""
    try:
        sys.stderr.flush()
    except OSError:
        _silence(2)


def _silence(*numbers: int) -> None:
    """Discard silently what is still in the buffers."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in numbers:
        os.dup2(nowhere, number)
