"""A session with the ring, for asyncio.

The driver has an event loop of its own, on a thread of its own. A statement's end crosses over to
ours once, whatever it carries. Errors come out as one of two kinds: the statement has certainly not
been carried out (`StoreUnavailable`), or nobody can tell (`OutcomeUnknown`).
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from cassandra import (
    ConsistencyLevel,
    DriverException,
    RequestValidationException,
    Unavailable,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResponseFuture,
    Session,
)
from cassandra.connection import ConnectionException
from cassandra.cython_deps import HAVE_CYTHON
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage, OverloadedErrorMessage
from cassandra.query import BoundStatement, PreparedStatement

from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import OutcomeUnknown, StartError, StoreUnavailable

log = logging.getLogger(__name__)

REQUEST_SECONDS = 2.5  # a little more than the ring's own time-out for a write, 2 s
SPECULATE_SECONDS = 0.5  # then a second node is asked as well: the first may hang
CONNECT_SECONDS = 2.0
RECONNECT_SECONDS = 1.0
HEARTBEAT_SECONDS = 3.0  # a node that hangs is noticed after this and as long again
PROTOCOL_VERSION = 4  # `codec` makes this version's bytes; 5 has the same, with framing

# What the driver raises where the ring is at fault; they have no parent of their own.
RING_ERRORS = (DriverException, ErrorMessage, ConnectionException, NoHostAvailable, OSError)

# The ring says no before it begins: too few nodes, too busy, not allowed, not possible.
REFUSALS = (Unavailable, OverloadedErrorMessage, NoHostAvailable, RequestValidationException)

TABLES: Mapping[str, frozenset[str]] = {
    "events": frozenset({"minute", "lane", "seq", "counts", "total", "events"}),
    "lanes": frozenset({"minute", "lane", "sealed", "counts"}),
}


class Ring:
    """One session. `check`, `connect` once, then `prepare` and `execute`."""

    def __init__(self, settings: RingSettings) -> None:
        self._settings = settings
        self._cluster: Cluster | None = None
        self._session: Session | None = None

    def check(self) -> None:
        """Raise StartError if the driver lacks its C parts or TLS can't be set up."""
        if not HAVE_CYTHON:
            raise StartError(
                "cassandra-driver is installed without its C extensions, and would be several "
                "times slower; install it from a wheel"
            )
        self._settings.tls()

    @property
    def session(self) -> Session | None:
        """The driver's own session, None while not connected."""
        return self._session

    def connect(self) -> None:
        """Connect and verify the schema; blocks, for a thread.

        Raises StoreUnavailable if the ring can't be reached or has no schema yet.
        """
        cluster = self._new_cluster(self._settings.tls())
        try:
            session = cluster.connect()
            self._verify_schema(cluster)
        except RING_ERRORS as error:
            cluster.shutdown()
            raise StoreUnavailable(f"the ring can't be reached: {error}") from error
        except BaseException:
            cluster.shutdown()
            raise
        session.default_fetch_size = None  # answers are small, and must be whole
        self._cluster, self._session = cluster, session

    def _new_cluster(self, tls: ssl.SSLContext | None) -> Cluster:
        settings = self._settings
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

    def _verify_schema(self, cluster: Cluster) -> None:
        name = self._settings.keyspace
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
                f"the schema is not there: {', '.join(missing)}; apply it with scripts/cassandra "
                "schema"
            )

    def prepare(self, statement: str) -> PreparedStatement:
        """Prepare `statement`, `{}` in it being the keyspace; blocks, for a thread.

        Raises StoreUnavailable.
        """
        if self._session is None:
            raise StoreUnavailable("not connected to the ring")
        try:
            return self._session.prepare(statement.format(self._settings.keyspace))
        except RING_ERRORS as error:
            raise StoreUnavailable(f"the ring does not answer: {error}") from error

    async def execute(self, prepared: PreparedStatement, values: Sequence[bytes]) -> list[Any]:
        """Carry out `prepared` with `values`, cells in their own bytes; its rows.

        Raises StoreUnavailable if it was certainly not carried out, OutcomeUnknown otherwise.
        """
        session = self._session
        if session is None:
            raise StoreUnavailable("not connected to the ring")
        statement = BoundStatement(prepared)
        statement.values = list(values)
        statement.is_idempotent = True  # every one of ours is: same cells, same timestamp
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Any]] = loop.create_future()
        try:
            response: ResponseFuture = session.execute_async(statement)
        except NoHostAvailable as error:
            raise StoreUnavailable(f"no node answers: {error}") from error
        # These run on the driver's thread, where an exception would vanish.
        response.add_callbacks(
            lambda rows: _cross(loop, done, rows or [], None),
            lambda error: _cross(loop, done, [], error),
        )
        try:
            return await done
        except REFUSALS as error:
            # A refusal speaks for the one node that was asked; another may have gone ahead.
            if len(response.attempted_hosts) <= 1:
                raise StoreUnavailable(f"the ring refuses: {error}") from error
            raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error
        except Exception as error:  # also that of a connection that broke: a node died
            raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close all connections; blocks, for a thread."""
        cluster, self._cluster, self._session = self._cluster, None, None
        if cluster is not None:
            cluster.shutdown()


def _credentials(settings: RingSettings) -> Any:
    if settings.user is None:
        return None
    return PlainTextAuthProvider(settings.user, settings.password or "")


def _cross(
    loop: asyncio.AbstractEventLoop,
    done: "asyncio.Future[list[Any]]",
    rows: list[Any],
    error: Exception | None,
) -> None:
    """From the driver's thread to ours."""

    def settle() -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(rows)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits for it any more
        log.debug("a statement ended after the event loop")
