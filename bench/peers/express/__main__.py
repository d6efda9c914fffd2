"""Becomes the Express peer: `python -m bench.peers.express`."""

import os
from pathlib import Path

os.environ["NODE_ENV"] = "production"
os.execvp("node", ["node", str(Path(__file__).with_name("server.js"))])
