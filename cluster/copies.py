"""The ring as each node sees it: how many copies of the events it can reach."""

from dataclasses import dataclass

from cassandra import ConsistencyLevel, DriverException, ReadTimeout, Unavailable
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import FallthroughRetryPolicy, WhiteListRoundRobinPolicy
from cassandra.protocol import ErrorMessage
from cassandra.query import SimpleStatement

from cluster.layout import Node
from cluster.ring.schema import WRITTEN_KEYSPACE, Login, replication

SECONDS = 3.0
READ_SECONDS = 6.0  # more than the ring's own time-out for a read, 5 s
ANY_EVENT = "SELECT minute FROM {}.lanes WHERE minute = 0"


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of each event: how many there should be, and how many a node can reach."""

    promised: int
    reached: int


def copies_at(
    node: Node, keyspace: str = WRITTEN_KEYSPACE, login: Login | None = None
) -> Copies | None:
    """What the node's Cassandra says; None if it does not answer, or has no such tables.

    `login` is for one that asks who comes. It is asked to read with all copies, of which it knows
    at once how many are within reach.
    """
    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy([node.address]),
        retry_policy=FallthroughRetryPolicy(),
        consistency_level=ConsistencyLevel.ALL,
        request_timeout=READ_SECONDS,
    )
    cluster = Cluster(
        [node.address],
        protocol_version=4,
        connect_timeout=SECONDS,
        control_connection_timeout=SECONDS,
        connection_class=LibevConnection,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=PlainTextAuthProvider(*login) if login else None,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
    )
    try:
        return _ask(cluster.connect(), keyspace)
    except (DriverException, ErrorMessage, NoHostAvailable, OSError):
        return None
    finally:
        cluster.shutdown()


def _ask(session: Session, keyspace: str) -> Copies | None:
    found = replication(session, keyspace)
    if not found:
        return None
    numbers = [value for name, value in found.items() if name != "class"]
    promised = sum(int(number) for number in numbers if number.isdecimal())
    try:
        session.execute(SimpleStatement(ANY_EVENT.format(keyspace)))
    except Unavailable as error:
        return Copies(promised, error.alive_replicas)
    except ReadTimeout as error:  # it believes in more than answer
        return Copies(promised, error.received_responses or 0)
    return Copies(promised, promised)
