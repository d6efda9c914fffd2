"""Becomes the Go peer, which must have been built: `python -m bench.peers.go_sqlite`."""

import os
from pathlib import Path

PROGRAM = str(Path(__file__).with_name(".build") / "peer")
os.execv(PROGRAM, [PROGRAM])
