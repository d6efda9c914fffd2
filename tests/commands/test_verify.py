"""scripts/verify: a ledger against a store in which others have written, too."""

import os
import subprocess
from pathlib import Path

from tests.support.checked_receiver import Receiver
from tests.support.scripts import SCRIPTS, figure
from tests.tgibf.generator import tgibf

ODD = (
    {"type": "x", "id": "\ud800"},
    {"type": "x", "id": 5},
    {"type": "x", "id": {"a": ["\udfff"]}},
    {"type": "x", "id": "\x1b[31mé\n"},
    {"type": "x", "text": "\ud83d", "id": "a-1"},
)


def test_odd_events_of_somebody_else_are_unexpected(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    run = tgibf(receiver.url, "--burst-size=20", "--bursts=1", "--quiet", f"--ledger={ledger}")
    assert run.code == 0, run.err
    for event in ODD:
        assert receiver.post(event).status == 200
    done = subprocess.run(
        [SCRIPTS / "verify", ledger, f"sqlite:///{store_path}"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert figure(done.stdout, "acknowledged") == 20
    assert figure(done.stdout, "unexpected") == len(ODD)
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1] == "INVALID"
