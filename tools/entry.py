"""How a script begins and ends: stopped at any moment, with any reader, on a full disk.

A script imports this before anything else: later imports may take a while, and a stop must work
during that time, too.
"""

import errno
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import FrameType
from typing import NoReturn

from tools.stops import STOPS, leave, on_a_stop, stops_to

INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE  # as a shell shows a program that it has ended
STREAMS = ("stdin", "stdout", "stderr")
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What a full disk may say, or a stream that was opened for reading alone."""


def _end_at_once(number: int, _: FrameType | None) -> None:
    """While there is nothing to put in order. Inside an import an exception may get lost."""
    os._exit(128 + number)


def _provide_streams() -> None:
    """Have all three, here and in children: where one was closed `tools` has put /dev/null.

    Where stderr was, pyenv's `python3` leaves a file of its own there, to be read.
    """
    closed = [number for number, name in enumerate(STREAMS) if getattr(sys, name) is None]
    if 2 not in closed and fcntl.fcntl(2, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        closed.append(2)
    for number in closed:
        os.set_inheritable(number, True)
        setattr(sys, STREAMS[number], os.fdopen(number, "w" if number else "r", closefd=False))


# Where it is ignored, as a parent may leave it, every child is reported as one that succeeded.
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
on_a_stop(_end_at_once)
signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # see `enter`
_provide_streams()


def enter(requirements: str) -> None:
    """Continue in the virtual environment: start the script again with its Python.

    A stop that comes while that one starts waits until this file is imported again.
    """
    from tools.venv import VENV, provide_venv

    python = provide_venv(requirements)
    if not VENV.samefile(sys.prefix):
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        os.execv(python, [str(python), *sys.orig_argv[1:]])


def importing() -> AbstractContextManager[None]:
    """A stop that comes meanwhile ends the script at once, as it did until `run_main`.

    An exception inside the import of a library in C may crash it.
    """
    return stops_to(_end_at_once)


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Run a script's `main`, and end with its exit code.

    SIGTERM and SIGHUP raise SystemExit in it, SIGINT KeyboardInterrupt. If a reader has gone, as
    in `script | head`, it ends quietly. If something can't be written, as on a full disk, one
    line says so.
    """
    code: object
    try:
        try:
            on_a_stop(leave)
            code = main()
        except SystemExit as leaving:
            code = leaving.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = READER_GONE
        _silence(1, 2)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        what = error.filename or "what it prints"
        if error.filename is None:
            _silence(1)
        with suppress(OSError):
            print(f"error: {what} could not be written: {error.strerror}", file=sys.stderr)
        code = 1
    on_a_stop(_end_at_once)
    try:
        sys.stderr.flush()
    except OSError:  # else it is tried again at the exit, which then has code 120
        _silence(2)
    sys.exit(code)


def _silence(*numbers: int) -> None:
    """Discard silently what is still in the buffers."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in numbers:
        os.dup2(nowhere, number)
