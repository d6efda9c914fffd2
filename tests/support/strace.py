"""Watching system calls, and making them fail."""

import shutil
import subprocess

import pytest


def _missing() -> str | None:
    """Why strace can't be used here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else None


needs_strace = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))
