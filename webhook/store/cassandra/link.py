"""One connection to the ring: the driver's cluster and session, and the prepared statements.

A link is made completely or not at all. The driver reconnects to nodes by itself, but not forever:
one refused log-in stops it for good, names are looked up only at the start, and who has logged in
stays who it was. So a link that has lost nodes, or whose login is another one now, is replaced by
another link, made from the settings (`keeper`).
"""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cassandra import (
    ConsistencyLevel,
    DriverException,
    ReadFailure,
    UnresolvableContactPoints,
)
from cassandra.auth import AuthProvider, PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.connection import ConnectionException
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    HostDistance,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import BoundStatement, PreparedStatement, SimpleStatement

from webhook.store.cassandra.login import FileLogin, Login, LoginError, read_login
from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import StoreUnavailable

REQUEST_SECONDS = 2.5  # a little more than the ring's own time-out for a write, 2 s
SPECULATE_SECONDS = 0.5  # then a second node is asked as well: the first may hang
CONNECT_SECONDS = 2.0
RECONNECT_SECONDS = 1.0
HEARTBEAT_SECONDS = 3.0  # a node that hangs is noticed after this and as long again
PROTOCOL_VERSION = 4  # `codec` makes this version's bytes; 5 has the same, with framing

# What the driver raises if the ring is at fault; these have no common parent.
RING_ERRORS = (DriverException, ErrorMessage, ConnectionException, NoHostAvailable, OSError)

TABLES: Mapping[str, frozenset[str]] = {
    "events": frozenset({"minute", "lane", "seq", "counts", "total", "events"}),
    "lanes": frozenset({"minute", "lane", "sealed", "counts"}),
}

LOOK = SimpleStatement("SELECT toTimestamp(now()) AS now, truncated_at FROM system.local")
LOOK_AT_TABLES = SimpleStatement(
    "SELECT id, comment FROM system_schema.tables WHERE keyspace_name = %s"
)
LOOK_SECONDS = 1.0
MOST_LOOKED_AT = 5
PAGE_SECONDS = 10.0
PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Look:
    """What a node reported about itself."""

    address: str
    ahead: float
    """Seconds by which this machine's clock is ahead of the node's."""
    error: float
    """The error of that in seconds: half of the time that the answer took."""
    truncated: Mapping[Any, bytes]
    """By a table's id: when it was emptied last, in a form of the node's own."""


class Link:
    """A cluster and a session of the driver; `open_link` makes it."""

    def __init__(
        self,
        cluster: Cluster,
        session: Session,
        prepared: Mapping[str, PreparedStatement],
        login: Login | None = None,
    ) -> None:
        self.cluster = cluster
        self.session = session
        self.prepared = prepared
        """By the statement's text, as it was given to `open_link`."""
        self.login = login
        """What the file with the login said just before; None without one."""

    def nodes(self) -> list[Any]:
        """The driver's hosts in the data centre that it uses, whether they are up or not."""
        distance = self.cluster.profile_manager.distance
        return [
            host
            for host in self.cluster.metadata.all_hosts()
            if distance(host) != HostDistance.IGNORED
        ]

    def connected(self) -> list[Any]:
        """Those of the nodes with an open connection."""
        open_pools = {
            host for host, state in self.session.get_pool_state().items() if state["open_count"]
        }
        return [host for host in self.nodes() if host in open_pools]

    def lost(self) -> list[str]:
        """The addresses of the nodes without an open connection."""
        connected = self.connected()
        return sorted(str(host.address) for host in self.nodes() if host not in connected)

    def refresh(self) -> bool:
        """Have the driver ask who is in the ring; blocks. False if its own connection is gone."""
        try:
            self.cluster.refresh_nodes()
        except RING_ERRORS:
            return False
        return True

    def size(self) -> int:
        """How many nodes the ring has, in all data centres."""
        return len(self.cluster.metadata.all_hosts())

    def copies(self, keyspace: str) -> int:
        """How many nodes store each event of `keyspace`, in all data centres; 0 if unknown."""
        found = self.cluster.metadata.keyspaces.get(keyspace)
        strategy = found.replication_strategy if found is not None else None
        factors = getattr(strategy, "dc_replication_factors", None)
        return sum(factors.values()) if factors else getattr(strategy, "replication_factor", 0)

    def look(self) -> list[Look]:
        """Ask connected nodes for the time; blocks. One that doesn't answer is left out."""
        looks = []
        hosts = sorted(self.connected(), key=lambda host: str(host.address))
        for host in hosts[:MOST_LOOKED_AT]:
            asked, began = time.time(), time.monotonic()
            try:
                row = self.session.execute(LOOK, timeout=LOOK_SECONDS, host=host).one()
            except RING_ERRORS:
                continue
            half = (time.monotonic() - began) / 2
            ahead = asked + half - _unix_time(row.now)
            looks.append(Look(str(host.address), ahead, half, row.truncated_at or {}))
        return looks

    def tables(self, keyspace: str) -> Mapping[Any, str]:
        """The comments of the keyspace's tables by the tables' ids; blocks."""
        rows = self.session.execute(LOOK_AT_TABLES, [keyspace], timeout=LOOK_SECONDS)
        return {row.id: row.comment for row in rows}

    def pages(self, statement: str, values: Sequence[bytes]) -> Iterator[Any]:
        """The rows of a prepared statement, a page at a time; blocks."""
        bound = BoundStatement(self.prepared[statement])
        bound.values, bound.fetch_size = list(values), PAGE_ROWS
        state = None
        while True:
            try:
                page = self.session.execute(bound, timeout=PAGE_SECONDS, paging_state=state)
            except ReadFailure:  # as of a page that is larger than cassandra.yaml lets it be
                if bound.fetch_size == 1:
                    raise
                bound.fetch_size = max(1, bound.fetch_size // 4)
                continue
            yield from page.current_rows
            state = page.paging_state
            if state is None:
                return

    def close(self) -> None:
        """Close all connections; blocks, for a thread."""
        self.cluster.shutdown()


def open_link(settings: RingSettings, statements: Sequence[str], *, whole: bool = False) -> Link:
    """Connect, verify the schema, prepare `statements` (`{}` in them is the keyspace).

    Blocks, for a thread; `whole` waits until every node was tried. Names are looked up now.

    Raises StoreUnavailable if the ring can't be reached or has no schema yet, StartError if the
    files for TLS can't be used.
    """
    tls = settings.tls()
    login = login_now(settings)  # before: a change while this connects is one for the keeper
    try:
        cluster = _new_cluster(settings, tls)
    except UnresolvableContactPoints:
        names = ", ".join(settings.hosts)
        raise StoreUnavailable(f"the ring can't be reached: no address found for {names}") from None
    except OSError as error:
        raise StoreUnavailable(f"the ring can't be reached: {error}") from error
    try:
        session = cluster.connect(wait_for_all_pools=whole)
        session.default_fetch_size = None  # answers are small, and must be whole
        _verify_schema(cluster, settings.keyspace)
        prepared = {text: session.prepare(text.format(settings.keyspace)) for text in statements}
    except RING_ERRORS as error:
        cluster.shutdown()
        raise StoreUnavailable(f"the ring can't be reached: {in_words(error)}") from error
    except BaseException:
        cluster.shutdown()
        raise
    return Link(cluster, session, prepared, login)


def login_now(settings: RingSettings) -> Login | None:
    """What the file with the login says now; blocks.

    None without one, and if it is empty or can't be read.
    """
    if settings.login is None:
        return None
    try:
        return read_login(Path(settings.login))
    except LoginError:
        return None


def in_words(error: BaseException) -> str:
    """What the driver raised; for each node if it says that."""
    reasons = getattr(error, "errors", None)
    if isinstance(error, NoHostAvailable) and isinstance(reasons, dict) and reasons:
        return "; ".join(f"{host}: {reason}" for host, reason in reasons.items())
    return str(error) or type(error).__name__


def _unix_time(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()  # the driver makes them naive, in UTC


def _new_cluster(settings: RingSettings, tls: ssl.SSLContext | None) -> Cluster:
    profile = ExecutionProfile(
        TokenAwarePolicy(DCAwareRoundRobinPolicy(), shuffle_replicas=True),
        # Repeats are ours alone: the driver's default sends a write again unasked, and then
        # a failure no longer tells whether the first one was carried out.
        FallthroughRetryPolicy(),
        consistency_level=getattr(ConsistencyLevel, settings.consistency),
        request_timeout=REQUEST_SECONDS,
        speculative_execution_policy=ConstantSpeculativeExecutionPolicy(SPECULATE_SECONDS, 1),
    )
    return Cluster(
        settings.hosts,
        port=settings.port,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=_credentials(settings),
        ssl_context=tls,
        connection_class=LibevConnection,
        # A write is several segments: without this each waits out a delayed ACK of 40 ms.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        protocol_version=PROTOCOL_VERSION,
        compression=False,
        connect_timeout=CONNECT_SECONDS,
        control_connection_timeout=CONNECT_SECONDS,
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
        idle_heartbeat_interval=HEARTBEAT_SECONDS,
        idle_heartbeat_timeout=HEARTBEAT_SECONDS,
        schema_event_refresh_window=1,
        monitor_reporting_enabled=False,
    )


def _credentials(settings: RingSettings) -> AuthProvider | None:
    if settings.login is not None:
        return FileLogin(Path(settings.login))
    if settings.user is None:
        return None
    return PlainTextAuthProvider(settings.user, settings.password or "")


def _verify_schema(cluster: Cluster, name: str) -> None:
    keyspace = cluster.metadata.keyspaces.get(name)
    missing = [f"keyspace {name}"] if keyspace is None else []
    for table, columns in TABLES.items() if keyspace is not None else ():
        found = keyspace.tables.get(table)
        if found is None:
            missing.append(f"table {name}.{table}")
        else:
            missing += [f"{name}.{table}.{column}" for column in columns - found.columns.keys()]
    if missing:
        raise StoreUnavailable(
            f"the schema is missing: {', '.join(missing)}; apply it with scripts/cassandra schema"
        )
