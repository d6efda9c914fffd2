"""Where the repository is; on a node, the folder that stands for it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
