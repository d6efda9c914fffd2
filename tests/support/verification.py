"""The verdict on a run: ledger against store, and every receiver's count against the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.receiver import Receiver
from tests.support.waiting import wait_for
from tgibf.outcome import Outcome
from tgibf.verdict import Verdict, judge
from webhook.store.audit import stored, stored_ids

SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Bounds:
    """What a run must show: at least so many acknowledged, at most so many unknown."""

    acknowledged: int
    unknown: int


def settled_counts(receivers: Sequence[Receiver], url: str) -> int:
    """Every receiver's count, once all are equal to the rows.

    Until a write of unknown outcome has settled, counts may differ by it.
    """

    def agree() -> int | None:
        counts = {receiver.count() for receiver in receivers}
        rows = len(stored(url))
        return rows if counts == {rows} else None

    return int(wait_for(agree, "every count equal to the rows", SETTLE_SECONDS, 0.5) or 0)


def verify(
    outcomes: Mapping[str, Outcome], url: str, receivers: Sequence[Receiver], bounds: Bounds
) -> str:
    """Hold a finished run against the store; a line in Jepsen's words.

    The counts of the receivers that ran, and of one freshly started, must equal the rows.
    """
    settled_counts(receivers, url)
    verdict = judge(outcomes, stored_ids(url))
    with Receiver(url) as fresh:
        wait_for(fresh.ready, "a fresh receiver is ready", 30)
        settled_counts([*receivers, fresh], url)
    line = describe(verdict)
    assert verdict.valid, line
    assert verdict.acknowledged >= bounds.acknowledged, line
    assert len(verdict.recovered) + len(verdict.unknown) <= bounds.unknown, line
    return line


def describe(verdict: Verdict) -> str:
    """The verdict in a line."""
    return (
        f"attempted {verdict.attempted}, acknowledged {verdict.acknowledged}, "
        f"lost {len(verdict.lost)}, recovered {len(verdict.recovered)}, "
        f"unexpected {len(verdict.unexpected)}, unknown {len(verdict.unknown)}: "
        f"{'valid' if verdict.valid else 'INVALID'}"
    )
