"""The repository's path; on a node, the folder in its place."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
