"""Roles that take turns, in a ring that asks for a password."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra import Unauthorized

from cluster.ring import roles
from cluster.ring.schema import Login, SchemaError, UnansweredError, session_at
from harness.ring import SHORT_LIVED
from harness.waiting import wait_for
from tests.support.locked_ring import PASSWORDS, LockedRing

pytestmark = pytest.mark.usefixtures("no_shared_ring")

MANAGER: Login = ("manager", "first-of-all")
OTHER_MANAGER: Login = ("manager2", "second-of-all")
WEBHOOK: Login = ("webhook", "first")
OTHER: Login = ("webhook2", "second")
LOOK = "SELECT minute FROM locked.lanes WHERE minute = 0"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[str]]:
    """A node with a manager, and a role `webhook`."""
    with LockedRing(tmp_path / "ring", settings=PASSWORDS, jvm_options=SHORT_LIVED) as ring:
        ring.apply_schema("locked")
        roles.have_manager(ring.hosts, MANAGER, copies=1)
        roles.have_user(ring.hosts, MANAGER, WEBHOOK, "locked")
        yield ring.hosts


def test_a_role_takes_the_place_of_another(hosts: list[str]) -> None:
    """
    1. The other has the same rights; a wrong password is refused.
    2. The first lets in nobody else. Who is there as it goes on, and keeps it from going.
    3. Without anybody it is gone, and made anew it is as good as the first time.
    """
    # 1.
    roles.have_other_manager(hosts, MANAGER, OTHER_MANAGER)
    roles.await_let_in(hosts, OTHER_MANAGER, "SELECT role FROM system_auth.roles")
    roles.have_user(hosts, OTHER_MANAGER, OTHER, "locked")
    roles.await_let_in(hosts, OTHER, LOOK)
    with pytest.raises(UnansweredError, match="credentials"), session_at(hosts, ("webhook2", "x")):
        pass
    # 2.
    names = ["manager", "webhook"]
    assert roles.known(hosts, OTHER_MANAGER, [*names, "webhook3"]) == names
    with session_at(hosts, WEBHOOK) as session:
        roles.close_roles(hosts, OTHER_MANAGER, names)
        wait_for(lambda: refuses(hosts, WEBHOOK), "no other log-in", 20, 0.5)
        session.execute(LOOK)
        with pytest.raises(SchemaError, match=f"still logged in as webhook: .* at {hosts[0]}"):
            roles.end_role(hosts, OTHER_MANAGER, "webhook", within_seconds=1)
        session.execute(LOOK)
    # 3.
    for name in names:
        roles.end_role(hosts, OTHER_MANAGER, name)
    assert refuses(hosts, MANAGER)
    assert roles.known(hosts, OTHER_MANAGER, names) == []
    roles.have_user(hosts, OTHER_MANAGER, WEBHOOK, "locked")
    roles.await_let_in(hosts, WEBHOOK, LOOK)


def test_a_role_that_is_dropped_leaves_no_rights_to_who_stays(hosts: list[str]) -> None:
    with session_at(hosts, WEBHOOK) as session, session_at(hosts, MANAGER) as manager:
        session.execute(LOOK)
        manager.execute("DROP ROLE webhook")

        def may_nothing() -> bool:
            try:
                session.execute(LOOK)
            except Unauthorized:
                return True
            return False

        wait_for(may_nothing, "an end of its rights", 20, 0.5)


def test_who_says_nothing_any_more_keeps_no_role(hosts: list[str]) -> None:
    """Such as a machine that died without closing its connections."""
    roles.have_other_manager(hosts, MANAGER, OTHER_MANAGER)
    with session_at(hosts, WEBHOOK):
        roles.close_roles(hosts, OTHER_MANAGER, ["webhook"])
        roles.end_role(hosts, OTHER_MANAGER, "webhook")
        assert roles.known(hosts, OTHER_MANAGER, ["webhook"]) == []


def refuses(hosts: list[str], login: Login) -> bool:
    """Whether nobody logs in so."""
    try:
        with session_at(hosts, login):
            return False
    except UnansweredError:
        return True
