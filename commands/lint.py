"""Check style and types: ruff (lint and format) and mypy --strict."""

import argparse

from tools.venv import run_in_venv


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="mend what can be mended by itself")
    fix = parser.parse_args().fix
    checks = [
        ["ruff", "check", *(["--fix"] if fix else [])],
        ["ruff", "format", *([] if fix else ["--check"])],
        ["mypy"],
    ]
    return max(run_in_venv("dev", "-m", *check) for check in checks)
