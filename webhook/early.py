"""What must hold from the first moment of a process, before the imports that take long."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def prepare() -> None:
    """Ensure the three standard streams, and handle a stop."""
    open_standard_streams()
    for number in stops():
        signal.signal(number, _leave)
    # A parent may have left them blocked, which a child inherits.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a child that fails must be seen to


def stops() -> tuple[signal.Signals, ...]:
    """The signals that mean a stop: the end of a terminal too, unless nohup has it ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hangs_up else ()))


def open_standard_streams() -> None:
    """Replace a standard stream that was closed at the start by /dev/null.

    Else its number goes to the next file or socket: what is printed lands there, and who closes
    that stream closes it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            setattr(sys, name, os.fdopen(opened, "r" if name == "stdin" else "w", closefd=False))


def end_without(missing: ModuleNotFoundError) -> NoReturn:
    """End because a package is not installed; say how to get it."""
    print(
        f"error: this Python has no {missing.name}; in a checkout run scripts/demo once, then "
        ".venv/bin/python -m webhook",
        file=sys.stderr,
    )
    sys.exit(3)


def end(code: int) -> NoReturn:
    """End with this exit code, whether or not the log could be written.

    What is still in stderr's buffer would be tried again at the exit, which then had code 120.
    """
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(code)


def _leave(number: int, _: FrameType | None) -> None:
    """End: nothing has been taken yet that could be lost.

    Without a handler the first process of a container would not even hear the signal.
    """
    os.write(2, f"stopped by {signal.Signals(number).name} before it had started\n".encode())
    os._exit(0)
