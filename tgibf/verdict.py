"""The verdict on a run: what the generator was told, compared with what is in the store.

The words are Jepsen's (https://github.com/jepsen-io/jepsen, the set checker).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tgibf.marks import Marks
from tgibf.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every id that was attempted or is stored, by what it proves.

    attempted     how many ids the ledger has
    acknowledged  how many of them were acked
    lost          acked, and not stored: a broken promise
    recovered     outcome unknown, and stored
    unknown       outcome unknown, and not stored
    unexpected    stored, though refused, or though never attempted: a broken promise
    duplicates    stored more than once, whatever the outcome: a broken promise
    unnamed       stored, of a run of which the ledger does not name every event: proves nothing

    `lost`, `recovered`, `unknown` and `unexpected` have no id in common; an id of `duplicates` may
    also be recovered or unexpected.
    """

    attempted: int
    acknowledged: int
    lost: frozenset[str]
    recovered: frozenset[str]
    unknown: frozenset[str]
    unexpected: frozenset[str]
    duplicates: frozenset[str]
    unnamed: frozenset[str] = frozenset()

    @property
    def valid(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.unexpected or self.duplicates)


def judge(
    outcomes: Mapping[str, Outcome], stored: Iterable[str], incomplete: Collection[str] = ()
) -> Verdict:
    """Compare a ledger's outcomes with the ids found in the store.

    `stored` has an id as many times as the store has it. `incomplete` are the names of runs of
    which the outcomes don't name every event, as after a killed generator: of those that are not
    named nothing can be said.
    """
    copies = Marks()
    for name in stored:
        copies.count(name)
    acknowledged = 0
    lost: set[str] = set()
    recovered: set[str] = set()
    unknown: set[str] = set()
    for name, outcome in outcomes.items():
        if outcome is Outcome.ACKED:
            acknowledged += 1
            if name not in copies:
                lost.add(name)
        elif outcome is Outcome.UNKNOWN:
            (recovered if name in copies else unknown).add(name)
    expected = (Outcome.ACKED, Outcome.UNKNOWN)
    unnamed = frozenset(
        name
        for name in (copies if incomplete else ())
        if name not in outcomes and name.rpartition("-")[0] in incomplete
    )
    return Verdict(
        attempted=len(outcomes),
        acknowledged=acknowledged,
        lost=frozenset(lost),
        recovered=frozenset(recovered),
        unknown=frozenset(unknown),
        unexpected=frozenset(
            name for name in copies if name not in unnamed and outcomes.get(name) not in expected
        ),
        duplicates=frozenset(name for name, count in copies.items() if count > 1),
        unnamed=unnamed,
    )
