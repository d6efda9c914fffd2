"""The roles of a ring that asks who comes; repeating that does no harm.

Cassandra begins with one, `cassandra`, that may do everything and whose password everybody knows.
It makes the manager, and may not log in any more after that.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from cluster.ring.schema import DATA_CENTRE, Login, UnansweredError, session_at

FIRST: Login = ("cassandra", "cassandra")
KEYSPACE = "system_auth"


def have_manager(hosts: Sequence[str], manager: Login, copies: int) -> None:
    """Have the ring know its manager, and no other who may do everything. Raises SchemaError.

    Roles are on `copies` nodes.
    """
    try:
        with session_at(hosts, manager) as session:
            _end_first(session)
            return
    except UnansweredError as error:
        reason = error  # a new ring refuses it, as one that is not there does
    user, password = manager
    try:
        with session_at(hosts, FIRST) as session:
            # Before there is a role of ours: a new copy of nothing needs no repair.
            options = {"class": "NetworkTopologyStrategy", DATA_CENTRE: copies}
            session.execute(f"ALTER KEYSPACE {KEYSPACE} WITH replication = {options}")
            session.execute(
                f"CREATE ROLE IF NOT EXISTS {user} "
                f"WITH PASSWORD = '{password}' AND SUPERUSER = true AND LOGIN = true"
            )
    except UnansweredError:
        raise reason from None
    with session_at(hosts, manager) as session:
        _end_first(session)


def _end_first(session: Any) -> None:
    user, _ = FIRST
    row = session.execute("SELECT can_login FROM system_auth.roles WHERE role = %s", [user]).one()
    if row is not None and row.can_login:
        session.execute(
            f"ALTER ROLE {user} WITH PASSWORD = '{secrets.token_urlsafe(32)}' "
            "AND SUPERUSER = false AND LOGIN = false"
        )


def have_user(hosts: Sequence[str], manager: Login, login: Login, keyspace: str) -> None:
    """Have a role that may read and write in the keyspace, and nothing else. Raises SchemaError."""
    user, password = login
    with session_at(hosts, manager) as session:
        session.execute(
            f"CREATE ROLE IF NOT EXISTS {user} WITH PASSWORD = '{password}' AND LOGIN = true"
        )
        session.execute(f"ALTER ROLE {user} WITH PASSWORD = '{password}'")
        for permission in ("SELECT", "MODIFY"):
            session.execute(f"GRANT {permission} ON KEYSPACE {keyspace} TO {user}")
