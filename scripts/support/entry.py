"""How a script begins and ends: whoever reads its output may go, and its disk may be full."""

import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 128 + 2
READER_GONE = 128 + 13  # as a shell shows a program that SIGPIPE has ended


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Run a script's `main`, and end with its exit code.

    Where a reader has gone, as in `script | head`, it ends quietly. Where what it prints can't be
    written, as on a full disk, one line says so.
    """
    code: object
    try:
        try:
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
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _silence(1)
        print(f"error: what it prints could not be written: {error.strerror}", file=sys.stderr)
        code = 1
    sys.exit(code)


def _silence(*numbers: int) -> None:
    """What is still in the buffers goes nowhere, and nobody complains of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in numbers:
        os.dup2(nowhere, number)
