"""Whether files are HCL: `python -m commands.hcl FILE ...`, in the environment that lint has."""

import sys
from collections.abc import Sequence
from pathlib import Path

import hcl2


def main(names: Sequence[str]) -> int:
    """Parse each; the exit code."""
    wrong = 0
    for name in names:
        try:
            hcl2.loads(Path(name).read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 - the parser's own, of several kinds
            print(f"{name}: {error}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
