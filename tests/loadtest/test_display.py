"""The display on a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from tests.support.scripts import SCRIPTS

COLUMNS = 60


def shown(command: list[str | Path]) -> str:
    """What a command writes to a terminal of `COLUMNS`."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    output = b""
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment):
        os.close(slave)
        try:
            while data := os.read(master, 65536):
                output += data
        except OSError:
            pass  # the other end is closed
    os.close(master)
    return output.decode()


def test_it_is_redrawn_in_place_and_keeps_to_the_width(tmp_path: Path) -> None:
    command: list[str | Path] = [SCRIPTS / "loadtest", "--report", tmp_path / "report"]
    text = shown([*command, "--seconds", "3", "--rate", "50", "--port", "0"])
    states = [state for state in text.split("\x1b[J") if "\x1b[2K" in state]
    assert len(states) > 3
    heights: list[int] = []
    for state in states:
        lines = re.findall(r"\x1b\[2K([^\r\n]*)", state)
        assert max(map(len, lines)) < COLUMNS
        assert lines[0].startswith("demo")
        assert [line.split()[0] for line in lines if line.startswith(("ledger", "count"))]
        up = re.search(r"\x1b\[(\d+)A", state)
        if heights:
            assert up is not None
            assert int(up[1]) == heights[-1], "it goes up by what it wrote"
        heights.append(len(lines))
    assert "acked" in text
    assert "valid" in text
