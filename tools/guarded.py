"""Commands that end with the process that started them, however that one ends."""

import subprocess
from collections.abc import Sequence

# Runs a command; ends it, and all that it started, when standard input does: with its owner.
SCRIPT = """
exec 3<&0
{ read -r line <&3; kill -KILL 0; } &
"$@" </dev/null 3<&-
code=$?
kill $!
exit $code
"""


def guarded(command: Sequence[str]) -> list[str]:
    """The command that runs `command` guarded.

    Start it with a pipe as its standard input, and in a process group of its own.
    """
    return ["sh", "-c", SCRIPT, "sh", *command]


def told_by_a_death() -> list[str]:
    """Goes before a command that shall hear SIGTERM when who started it is gone, even by SIGKILL.

    Empty where there is no such `setpriv`: BusyBox's can't.
    """
    command = ["setpriv", "--pdeathsig", "TERM"]
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    except OSError:
        return []
    return [] if tried.returncode else command
