"""SIGKILL of the receiver under load: nothing acknowledged is lost, and the count is exact.

Result of a round: the ledger's verdict is valid, and the count of a fresh receiver is the number
of rows.
"""

import random
import time
from pathlib import Path

import pytest

from harness.generator import Generator
from tests.support.checked_receiver import Receiver
from tests.support.rows import ids, rows
from tgibf.outcome import Outcome
from tgibf.verdict import judge

ACKNOWLEDGED_BEFORE_THE_KILL = 1000

LOADS = {
    "bursts": ["--pause", "0.1"],
    "keep-alive": ["--keep-alive", "--rate", "5000"],
    "arrays": ["--keep-alive", "--rate", "20000", "--batch", "50"],
}


@pytest.mark.long_rounds(20)
def test_a_killed_receiver_loses_nothing_that_it_acknowledged(
    tmp_path: Path, store_path: Path, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    # 1. Load, of another kind each round.
    name = list(LOADS)[round_ % len(LOADS)]
    receiver = Receiver(store_path).start()
    with Generator([receiver.url], tmp_path / "ledger", *LOADS[name]) as generator:
        generator.wait_for_lines(2 * ACKNOWLEDGED_BEFORE_THE_KILL)
        # 2. The kill, at a random moment.
        time.sleep(random.uniform(0, 1.5))
        receiver.kill()
        # 3. The generator ends in order; what it could not learn it calls unknown.
        summary = generator.finish(interrupt=True)
        outcomes = generator.outcomes()
    # 4. The verdict, by id.
    verdict = judge(outcomes, ids(store_path).elements())
    with capsys.disabled():
        print(
            f"\n  round {round_} ({name}): attempted {verdict.attempted}, acknowledged "
            f"{verdict.acknowledged}, lost {len(verdict.lost)}, recovered "
            f"{len(verdict.recovered)}, unexpected {len(verdict.unexpected)}, "
            f"unknown {len(verdict.unknown)}"
        )
    assert verdict.acknowledged >= ACKNOWLEDGED_BEFORE_THE_KILL
    assert verdict.valid, verdict
    assert summary["sent"] == verdict.attempted
    assert len(verdict.recovered) + len(verdict.unknown) <= 20_000
    # 5. A fresh receiver counts what is there, and goes on.
    with Receiver(store_path) as fresh:
        assert fresh.count() == rows(store_path)
        fresh.post_many(10)
        assert fresh.count() == rows(store_path)


def test_a_stop_under_load_loses_nothing_and_leaves_nothing_unknown(
    tmp_path: Path, store_path: Path
) -> None:
    """SIGTERM: all that arrived is answered before the exit."""
    receiver = Receiver(store_path).start()
    with Generator([receiver.url], tmp_path / "ledger", "--rate", "2000") as generator:
        generator.wait_for_lines(2000)
        assert receiver.stop() == 0
        generator.finish(interrupt=True)
        outcomes = generator.outcomes()
    verdict = judge(outcomes, ids(store_path).elements())
    assert verdict.valid, verdict
    assert verdict.acknowledged >= 2000
    assert Outcome.REFUSED in outcomes.values()  # those that came after the end
    assert not verdict.unknown
