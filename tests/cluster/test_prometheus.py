"""A Prometheus that knows too little: the count is held, by the real rules.

All at length. Rules look back for 1 minute here and not 10, so that what holds the count is not
what was wanted before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.autoscaling.view import autoscaler_among
from cluster.layout import PROMETHEUS
from harness.cluster import DOORS, WELL_SECONDS, Cluster
from harness.generator import Generator
from harness.waiting import wait_for, wait_until_none
from tests.cluster.sizing import (
    ANEW_SECONDS,
    DOWN_SECONDS,
    FOLLOWS_SECONDS,
    PROMETHEUS_PROCESS,
    QUICK,
    WEBHOOK_PROCESS,
    Counts,
    await_evaluations,
    await_firing,
    evaluates,
    firing,
    folder_with,
    follows,
    forget,
    frozen,
    holds,
    known_seconds,
    place_of,
    places_of,
    scale_by_hand,
    value_of,
)
from tests.support.say import Say

pytestmark = pytest.mark.usefixtures("at_length", "quick")

RATE = 45
"""Events/s, for which 3 allocations are wanted; 4 if they come unevenly."""
FIRES_SECONDS = 180.0
"""Alerts wait for a minute at most; a busy machine is late."""
LOOKS = "count_over_time(webhook:wanted_now[1m])"
ENOUGH_LOOKS = 10
"""As in `quickly`."""
SHORT = "min_over_time((webhook:expected - webhook:reporting)[1m:5s])"
"""How many have not reported for a minute, at least."""
RENAMED = "prometheus-renamed"


@contextmanager
def load(sized: Cluster, ledger: Path) -> Iterator[None]:
    """Load for which 3 are wanted, from the time when they are there."""
    with Generator(DOORS, ledger, "--rate", f"{RATE}", "--seconds", "900") as run:
        wait_for(lambda: len(sized.passing()) >= 3, "3 allocations", ANEW_SECONDS, 0.5)
        yield
        run.finish(interrupt=True)


def looked_enough() -> bool:
    """Whether enough of the last minute is known."""
    return (value_of(LOOKS) or 0.0) >= ENOUGH_LOOKS


def test_one_without_a_history_holds_the_count_until_it_has_some(sized: Cluster, say: Say) -> None:
    """Nothing comes in, so that 2 are wanted."""
    # 1. There are 4, which somebody has scaled to without a Prometheus.
    forget(sized)
    scale_by_hand(sized, 4)
    follows(sized, 4)
    # 2. A new one.
    with Counts(sized) as counts:
        sized.command("run", "-var", f"folder=/opt/teracompra/{QUICK}", PROMETHEUS)
        await_evaluations()
        assert not looked_enough()
        one = autoscaler_among()
        assert one is not None
        assert one.wanted == 4
        wait_for(looked_enough, "a minute of history", ANEW_SECONDS, 0.1)
        meanwhile = min(counts.seen)
        wait_for(lambda: sized.count() < 4, "fewer", DOWN_SECONDS, 0.5)
    assert meanwhile == 4
    say(f"4 until {ENOUGH_LOOKS} looks were known, then {sized.count()}")


def test_one_whose_node_dies_is_placed_elsewhere_and_holds_the_count(
    sized: Cluster, tmp_path: Path, say: Say
) -> None:
    """Its history is lost, and so are the allocations on that node."""
    node, _ = place_of(PROMETHEUS_PROCESS)
    try:
        with load(sized, tmp_path / "ledger"), Counts(sized) as counts:
            sized.kill(node)

            def elsewhere() -> bool:
                return any(at != node for at, _ in places_of(PROMETHEUS_PROCESS))

            wait_for(elsewhere, "a Prometheus on another node", WELL_SECONDS, 0.5)
            await_evaluations()
            wait_for(looked_enough, "a minute of history", ANEW_SECONDS, 0.5)
            await_evaluations()
        say(f"{counts.lowest} at least, {max(counts.seen)} at most")
        assert counts.lowest >= 3
    finally:
        sized.restore()


def test_receivers_that_do_not_report_hold_the_count(
    sized: Cluster, tmp_path: Path, say: Say
) -> None:
    alert = "AllocationsMissing"
    with load(sized, tmp_path / "ledger"):
        wait_until_none(lambda: firing() & {alert}, "no alert", FIRES_SECONDS, 0.5)
        with Counts(sized) as counts:
            # 1. One, for longer than the rules look back.
            with frozen([place_of(WEBHOOK_PROCESS)[1]]):
                one = await_firing(alert, seconds=FIRES_SECONDS)
                wait_for(lambda: (value_of(SHORT) or 0) > 0, "a minute of it", FIRES_SECONDS, 0.5)
                assert evaluates()
            wait_until_none(lambda: firing() & {alert}, "its end", FIRES_SECONDS, 0.5)
            # 2. All of them.
            with frozen([pid for _, pid in places_of(WEBHOOK_PROCESS)]):
                wait_for(lambda: holds("no value"), "no value", FOLLOWS_SECONDS, 0.5)
                every = await_firing(alert, seconds=FIRES_SECONDS)
            wait_until_none(lambda: firing() & {alert}, "its end", FIRES_SECONDS, 0.5)
        say(f"{alert} after {one:.0f} s for one, {every:.0f} s for all; {counts.lowest} at least")
        assert counts.lowest >= 3


def test_receivers_that_call_a_metric_otherwise_hold_the_count(
    sized: Cluster, tmp_path: Path, say: Say
) -> None:
    """What two of the three reasons to want more are worked out from."""

    def renamed(settings: str) -> str:
        refresh = "/targets/webhook', refresh_interval: 1s}]\n"
        rule = (
            "{source_labels: [__name__], regex: webhook_max_events_per_second, "
            "target_label: __name__, replacement: webhook_limit}"
        )
        return settings.replace(refresh, f"{refresh}    metric_relabel_configs: [{rule}]\n")

    folder = folder_with(RENAMED, "prometheus.yml", renamed, of=QUICK)
    with load(sized, tmp_path / "ledger"):
        with Counts(sized) as counts:
            forget(sized)  # or the other name would be known for 5 minutes
            sized.command("run", "-var", f"folder={folder}", PROMETHEUS)
            wait_for(lambda: holds("no value"), "no value", ANEW_SECONDS, 0.5)
            seconds = await_firing("AutoscalerDead", seconds=FIRES_SECONDS)
            wait_for(lambda: known_seconds() > 120, "two minutes", FIRES_SECONDS, 0.5)
            assert holds("no value")
        assert value_of("sum(webhook_limit)")
        say(f"AutoscalerDead after {seconds:.0f} s; {counts.lowest} at least")
        assert counts.lowest >= 3
