"""Other passwords for Cassandra's roles, in a closed cluster that runs.

A role has one password, so another password is another role's: two names take turns, such as
`webhook` and `webhook2`. Whoever logs in meanwhile is let in, as the one or the other.

1. The other roles are made, and each node lets them in.
2. `secrets.json` has them, and with it the files for cqlsh and for receivers.
3. The roles of before log in nobody any more. Receivers, which look at their file each second, have
   logged in anew (webhook/store/cassandra/keeper.py). Then the roles of before are dropped.

Cut off before `secrets.json` is written, nothing has changed for anybody. After that, the next time
begins with the rest of this one.
"""

from cluster.access.secrets import KEPT, Secrets, other_role
from cluster.access.settings import write
from cluster.layout import NODES, ClusterError
from cluster.nodes import namespaces
from cluster.ring.roles import (
    StillThereError,
    await_let_in,
    close_roles,
    end_role,
    have_other_manager,
    have_user,
    known,
)
from cluster.ring.schema import WRITTEN_KEYSPACE, Login, SchemaError
from tools.say import say

MANAGERS_TRIAL = "SELECT role FROM system_auth.roles"
WEBHOOKS_TRIAL = "SELECT minute FROM {}.lanes WHERE minute = 0"


def rotate_passwords() -> None:
    """Have Cassandra's manager and receivers log in by other passwords. Raises ClusterError.

    Nodes that do not run learn of it from the others when they are back.
    """
    before = Secrets.needed()
    manager = _manager(before)
    hosts = [node.address for node in NODES if namespaces.running(node.name)]
    if not hosts:
        raise ClusterError("no node runs: scripts/cluster up")
    try:
        _finish(hosts, before)
        new = before.in_turn()
        _make(hosts, manager, new)
        new.write(KEPT / "node")  # before the other files, for whoever goes on after a cut
        _finish(hosts, new)
    except SchemaError as error:
        raise ClusterError(
            f"{error}; when that is mended: scripts/cluster rotate passwords"
        ) from error


def roles_left() -> list[str]:
    """Roles of Cassandra's that a rotation which was cut off has left; none if nobody can tell."""
    secrets = Secrets.read()
    hosts = [node.address for node in NODES if namespaces.running(node.name)]
    if secrets is None or secrets.manager_login is None or not hosts:
        return []
    try:
        return known(hosts, secrets.manager_login, _others(secrets))
    except SchemaError:
        return []


def _make(hosts: list[str], manager: Login, new: Secrets) -> None:
    """Have the new roles, and have each node let them in."""
    other = _manager(new)
    say(f"Cassandra gets the roles {other[0]} and {new.webhook_login[0]}")
    have_other_manager(hosts, manager, other)
    have_user(hosts, manager, new.webhook_login, WRITTEN_KEYSPACE)
    await_let_in(hosts, other, MANAGERS_TRIAL)
    await_let_in(hosts, new.webhook_login, WEBHOOKS_TRIAL.format(WRITTEN_KEYSPACE))


def _finish(hosts: list[str], secrets: Secrets) -> None:
    """Have everybody use the roles that `secrets` name, and no others be there."""
    write(secrets, KEPT / "node")
    manager = _manager(secrets)
    left = known(hosts, manager, _others(secrets))
    close_roles(hosts, manager, left)
    for name in left:
        say(f"{name} logs in nobody any more, and goes when nobody is left who did")
        try:
            end_role(hosts, manager, name)
        except StillThereError as error:
            raise SchemaError(
                f"{error}. Its password is refused already; to take the rights of who is left: "
                f"scripts/cassandra cqlsh -e 'DROP ROLE {name}'"
            ) from error


def _manager(secrets: Secrets) -> Login:
    if secrets.manager_login is None:
        raise ClusterError(
            "Cassandra asks nobody here for a password; for one that does, with its data: "
            "scripts/cluster down --keep-data, then scripts/cluster up"
        )
    return secrets.manager_login


def _others(secrets: Secrets) -> set[str]:
    return {
        other_role(secrets.cassandra_manager_role),
        other_role(secrets.cassandra_webhook_role),
    }
