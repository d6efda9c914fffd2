"""A node is hurt under load, in each way there is, and comes back: nothing acknowledged is lost.

And the clients of the other nodes notice little. The ways of `ONCE` once; `--long` has every way
with every role of the node and both kinds of clients.
"""

from itertools import cycle, product
from pathlib import Path

import pytest

from cluster.faults import FAULTS, fault
from cluster.layout import NODES
from cluster.ring.roles import FIRST
from cluster.ring.schema import UnansweredError, session_at
from harness.cluster import Cluster
from harness.hurting import ROLES, Case, run
from tests.support.say import Say

ONCE = ("kill", "hang", "parted", "drain")
"""One for each kind: silence, a hang, half a network, planned work. A lost disk is a test below."""
RATE = 20  # events/s at each door: two cores have time for the nodes, too
SECONDS = 10.0
REFUSED = "connect: refused"
CLOSED_WHILE_USED = "reused connection closed"
"""HTTP's own race: a server closes a kept connection that is idle while its client sends again."""
LASTING = {"drain": 40.0}
"""A drain ends when the allocations have moved, and their doors are closed."""


def cases(*, long: bool) -> list[Case]:
    """Those of `ONCE`, with another role and other clients each time; or all of it."""
    if long:
        return [
            Case(one, role, seconds, kept)
            for one, role, kept in product(FAULTS, ROLES, (False, True))
            for seconds in ((10.0, 33.0, 90.0) if one.name == "hang" else (_seconds(one.name),))
        ]
    return [
        Case(one, role, _seconds(one.name), kept)
        for one, role, kept in zip(
            map(fault, ONCE), cycle(ROLES[::-1]), cycle((False, True)), strict=False
        )
    ]


def _seconds(name: str) -> float:
    return LASTING.get(name, SECONDS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        found = cases(long=metafunc.config.getoption("--long"))
        metafunc.parametrize("case", found, ids=str)


def test_a_node_is_hurt(cluster: Cluster, tmp_path: Path, case: Case, say: Say) -> None:
    if reason := case.fault.missing():
        pytest.skip(reason)
    report = run(cluster, case, tmp_path, rate=RATE)
    seen = report.seen
    say(
        f"{case}: {report.verdict}; less than 1 % failed after {seen.recovered_seconds:.0f} s, "
        f"{seen.failed_share:.0%} until then, no answer at a living door for "
        f"{seen.silent_seconds:.1f} s at most; well again {report.healed_seconds:.0f} s after its "
        f"healing; errors {seen.errors}"
    )
    assert not report.disturbed, report
    if case.fault.planned:
        assert seen.recovered_seconds == 0, report
        allowed = {REFUSED, CLOSED_WHILE_USED} if case.keep_alive else {REFUSED}
        assert set(seen.errors) <= allowed, report
        assert seen.errors.get(CLOSED_WHILE_USED, 0) <= 2, report


def test_a_lost_disk_is_replaced_by_one_command(cluster: Cluster) -> None:
    """And Consul does not go on listing what the node no longer runs."""
    cluster.scale(3)
    victim = NODES[1]
    fault("disk").begin(victim)
    shown = cluster.command("replace", victim.name)
    assert "all is well, after" in shown.stderr
    cluster.command("spread")
    cluster.command("status")
    # A node that joins anew does not bring back the role that everybody knows.
    with pytest.raises(UnansweredError, match="authenticat"), session_at([victim.address], FIRST):
        pass
