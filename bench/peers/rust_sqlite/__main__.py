"""Becomes the Rust peer, which must have been built: `python -m bench.peers.rust_sqlite`."""

import os
from pathlib import Path

PROGRAM = str(Path(__file__).parent / ".build" / "release" / "peer")
os.execv(PROGRAM, [PROGRAM])
