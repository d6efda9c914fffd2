"""The roles of a ring that asks who comes; repeating that does no harm.

Cassandra begins with one, `cassandra`, that may do everything and whose password everybody knows.
It makes the manager, and may not log in any more after that.

A role that is to go ends in two steps: nobody else logs in as it, and when those who are have gone,
it is dropped. That takes the rights of whoever has stayed.
"""

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from cluster.ring.schema import DATA_CENTRE, Login, SchemaError, UnansweredError, session_at

FIRST: Login = ("cassandra", "cassandra")
KEYSPACE = "system_auth"
LET_IN_SECONDS = 60.0
LEFT_SECONDS = 90.0  # a receiver that is stopping keeps its connections for 30 s
SILENT_SECONDS = 20.0  # receivers say something on each connection every 3 s
LOOK_SECONDS = 0.5


class StillThereError(SchemaError):
    """Somebody is logged in as a role that is to go; the message says where from."""


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
    try:
        with session_at(hosts, FIRST) as session:
            # Before there is a role of ours: a new copy of nothing needs no repair.
            options = {"class": "NetworkTopologyStrategy", DATA_CENTRE: copies}
            session.execute(f"ALTER KEYSPACE {KEYSPACE} WITH replication = {options}")
            _have(session, manager, "SUPERUSER = true")
    except UnansweredError:
        raise reason from None
    with session_at(hosts, manager) as session:
        _end_first(session)


def have_other_manager(hosts: Sequence[str], manager: Login, other: Login) -> None:
    """Have another role that may do everything. Raises SchemaError."""
    with session_at(hosts, manager) as session:
        _have(session, other, "SUPERUSER = true")


def _have(session: Any, login: Login, *more: str) -> None:
    """A role of that name which logs in by that password, whatever it was before."""
    user, password = login
    options = " AND ".join((f"PASSWORD = '{password}'", "LOGIN = true", *more))
    session.execute(f"CREATE ROLE IF NOT EXISTS {user} WITH {options}")
    session.execute(f"ALTER ROLE {user} WITH {options}")


def _end_first(session: Any) -> None:
    user, _ = FIRST
    if _can_login(session, user):
        session.execute(
            f"ALTER ROLE {user} WITH PASSWORD = '{secrets.token_urlsafe(32)}' "
            "AND SUPERUSER = false AND LOGIN = false"
        )


def have_user(hosts: Sequence[str], manager: Login, login: Login, keyspace: str) -> None:
    """Have a role that may read and write in the keyspace, and nothing else. Raises SchemaError."""
    with session_at(hosts, manager) as session:
        _have(session, login)
        for permission in ("SELECT", "MODIFY"):
            session.execute(f"GRANT {permission} ON KEYSPACE {keyspace} TO {login[0]}")


def await_let_in(hosts: Sequence[str], login: Login, statement: str) -> None:
    """Return when each of the nodes lets the role in and answers its statement.

    A node remembers for 2 s what it knew of a role. Raises SchemaError.
    """

    def objection() -> str:
        for host in hosts:
            try:
                with session_at([host], login, alone=True) as session:
                    session.execute(statement)
            except SchemaError as error:
                return f"{host} does not let in {login[0]} ({error})"
        return ""

    _await(objection, LET_IN_SECONDS)


def known(hosts: Sequence[str], manager: Login, names: Collection[str]) -> list[str]:
    """Those of the names that are roles. Raises SchemaError."""
    with session_at(hosts, manager) as session:
        return [name for name in sorted(names) if _can_login(session, name) is not None]


def close_roles(hosts: Sequence[str], manager: Login, names: Collection[str]) -> None:
    """Have the roles, which are known, log in nobody else. Raises SchemaError."""
    with session_at(hosts, manager) as session:
        for name in names:
            session.execute(f"ALTER ROLE {name} WITH LOGIN = false")


def end_role(
    hosts: Sequence[str], manager: Login, name: str, within_seconds: float = LEFT_SECONDS
) -> None:
    """Have no such role, as soon as nobody who is logged in as it says anything to the nodes.

    A machine that died has closed nothing, so its connections are there for hours, and silent.
    Raises StillThereError if somebody goes on for longer, SchemaError.
    """
    heard: dict[str, tuple[int, float]] = {}
    there: list[str] = []

    def objection() -> str:
        there.clear()
        try:
            found = {who: n for host in hosts for who, n in _clients(host, manager, name).items()}
        except UnansweredError as error:
            return str(error)
        now = time.monotonic()
        for who, requests in found.items():
            if who not in heard or heard[who][0] != requests:
                heard[who] = requests, now
        there.extend(sorted(who for who in found if now - heard[who][1] < SILENT_SECONDS))
        return f"still logged in as {name}: {', '.join(there)}" if there else ""

    try:
        _await(objection, within_seconds)
    except SchemaError as error:
        raise StillThereError(str(error)) if there else error from None
    with session_at(hosts, manager) as session:
        session.execute(f"DROP ROLE IF EXISTS {name}")


def _clients(host: str, manager: Login, name: str) -> dict[str, int]:
    """Who is logged in at the node as that role, by address; how many requests each has made."""
    query = "SELECT address, port, username, request_count FROM system_views.clients"
    with session_at([host], manager, alone=True) as session:
        return {
            f"{row.address}:{row.port} at {host}": row.request_count
            for row in session.execute(query)
            if row.username == name
        }


def _can_login(session: Any, name: str) -> bool | None:
    """None if there is no such role."""
    from cassandra import ConsistencyLevel
    from cassandra.query import SimpleStatement

    query = "SELECT can_login FROM system_auth.roles WHERE role = %s"
    statement = SimpleStatement(query, consistency_level=ConsistencyLevel.QUORUM)
    row = session.execute(statement, [name]).one()
    return None if row is None else bool(row.can_login)


def _await(objection: Callable[[], str], seconds: float) -> None:
    """Return when there is none any more. Raises SchemaError with the last."""
    deadline = time.monotonic() + seconds
    while last := objection():
        if time.monotonic() > deadline:
            raise SchemaError(last)
        time.sleep(LOOK_SECONDS)
