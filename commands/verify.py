"""Compare a ledger of the load generator with a store, event by event.

In Jepsen's words: a run is valid if no acknowledged event is lost, and the store has no event that
was refused, never attempted, or stored already. The store must have only this ledger's events.
A ledger records whether it is complete. If its disk was full or its generator was killed, there is
no verdict on the events that it does not name.

Exit codes: 0 valid, 1 INVALID, 2 ledger or store can't be read, 3 INCOMPLETE, and valid so far.
"""

import argparse
import sys
from pathlib import Path

from tools.entry import enter, importing
from tools.say import fail

SHOWN = 5
EXIT_INCOMPLETE = 3


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ledger", type=Path, help="written by python -m tgibf --ledger FILE")
    parser.add_argument(
        "store",
        help="as in WEBHOOK_STORE: sqlite:///path/to/events.db or cassandra://host/keyspace",
    )
    arguments = parser.parse_args()
    enter("tgibf")
    with importing():
        from tgibf.ledger import LedgerError, read_ledger
        from tgibf.verdict import judge
        from webhook.store import StartError
        from webhook.store.audit import stored_ids

    try:
        ledger = read_ledger(arguments.ledger)
        if ledger.blank:
            raise LedgerError(f"{arguments.ledger} is empty: it names no run")
        verdict = judge(ledger.outcomes, stored_ids(arguments.store), ledger.incomplete)
    except (LedgerError, OSError, StartError) as error:
        fail(str(error), 2)
    if ledger.torn is not None:
        print(f"note: the ledger ends in the middle of a line: {ledger.torn!r}", file=sys.stderr)
    print(f"attempted     {verdict.attempted}\nacknowledged  {verdict.acknowledged}")
    for word in ("lost", "recovered", "unexpected", "unknown", "duplicates"):
        found = sorted(getattr(verdict, word))
        names = ", ".join(map(_printable, found[:SHOWN]))
        examples = f"  ({names}{', ...' if len(found) > SHOWN else ''})"
        print(f"{word:<13} {len(found)}{examples if found else ''}")
    if verdict.valid and ledger.incomplete:
        print(
            f"INCOMPLETE: the ledger does not name every event of {len(ledger.incomplete)} run(s), "
            f"and {len(verdict.unnamed)} of theirs are stored; the events that it names are right"
        )
        return EXIT_INCOMPLETE
    print("valid" if verdict.valid else "INVALID")
    return 0 if verdict.valid else 1


def _printable(name: str) -> str:
    """An id for any terminal: somebody else's may have anything in it."""
    return name if name.isascii() and name.isprintable() else ascii(name)[1:-1]
