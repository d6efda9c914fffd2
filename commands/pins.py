"""List what is pinned of others: each with its version, and how many days ago that came out.

The days come from the package index (PIP_INDEX_URL), the Go module proxy (GOPROXY) and the sites of
the archives. The last lines name those that give no date. docs/security.md says how to compare the
versions with the known holes.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from artifacts.pins import Pin, UnknownDateError, pins
from tgibf.arguments import whole

KINDS = {
    "python": "Python packages",
    "go": "Go modules that programs are built from",
    "archive": "archives",
    "image": "images to build upon",
}
AT_ONCE = 12
MOST_DAYS = 36_500


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--offline", action="store_true", help="ask no index: no days")
    parser.add_argument(
        "--older-than",
        type=whole(0, MOST_DAYS),
        default=0,
        metavar="DAYS",
        help="only what has been out for longer, or for an unknown time",
    )
    arguments = parser.parse_args()
    found = pins()
    dates: dict[Pin, datetime | str] = {}
    if not arguments.offline:
        print(f"asking the indexes about {len(found)} versions", file=sys.stderr)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            dates = dict(zip(found, pool.map(_released, found), strict=True))
    now = datetime.now(UTC)
    unknown = {}
    for kind, title in KINDS.items():
        print(f"\n{title}")
        for pin in found:
            date = dates.get(pin)
            if isinstance(date, str):
                unknown[pin] = date
            if isinstance(date, datetime) and now - date < timedelta(arguments.older_than):
                continue
            if pin.kind == kind:
                print(_line(pin, date, now))
    if unknown:
        print("\nunknown is the time of:", file=sys.stderr)
    for pin, reason in unknown.items():
        print(f"  {pin.name} {pin.version}: {reason}", file=sys.stderr)
    return 0


def _released(pin: Pin) -> datetime | str:
    """When it came, or why that can't be known."""
    try:
        return pin.released()
    except UnknownDateError as error:
        return str(error)


def _line(pin: Pin, date: datetime | str | None, now: datetime) -> str:
    days = f"{date:%Y-%m-%d} {(now - date).days:>6}" if isinstance(date, datetime) else " " * 17
    return f"  {pin.name:<44} {pin.version:<30} {days}  {_where(pin.files)}"


def _where(files: tuple[str, ...]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}"
