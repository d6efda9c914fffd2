"""A receiver's SQLite store in an operator's hands: make a copy, restore one, begin anew.

Never copy, move or delete the file by hand while a receiver runs: the events acknowledged last are
in the log beside it. For a ring see scripts/cassandra empty, and docs/stores.md.
"""

import argparse
import sys
from io import TextIOWrapper
from pathlib import Path

from tools.entry import enter
from tools.say import fail, say
from tools.verbs import Verbs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = Verbs(parser)
    backup = verbs.add_parser("backup", help="make a checked copy; the receiver may run")
    restored = verbs.add_parser("restore", help="replace the store; stop the receiver first")
    emptied = verbs.add_parser("empty", help="move the store aside; stop the receiver first")
    restored.add_argument("copy", type=Path, help="made by backup")
    for verb in (backup, restored, emptied):
        verb.add_argument("store", type=_path, help="a path, or sqlite:///path as in WEBHOOK_STORE")
    backup.add_argument("copy", type=Path, help="a file that does not exist yet")
    arguments = parser.parse_args()
    enter("webhook")
    if isinstance(sys.stdout, TextIOWrapper):  # a path may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    from commands.copies import StoreError, back_up, empty, restore

    try:
        if arguments.verb == "backup":
            done = back_up(arguments.store, arguments.copy)
            print(f"{done.events} events in {arguments.copy}, checked, in {done.seconds:.2f} s")
            return 0
        if arguments.verb == "restore":
            aside = restore(arguments.copy, arguments.store)
        else:
            aside = empty(arguments.store)
            if not aside:
                say(f"there was nothing at {arguments.store}")
    except StoreError as error:
        fail(str(error))
    for path in aside:
        say(f"the old file is now {path}")
    print(f"{arguments.store} is in order; start the receiver")
    return 0


def _path(text: str) -> Path:
    return Path(text.removeprefix("sqlite:///"))
