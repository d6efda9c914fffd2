"""A ring of real nodes that ask for a password."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from cassandra import OperationTimedOut
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable

from harness.ring import Ring
from harness.waiting import wait_for

PASSWORDS = {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}


class LockedRing(Ring):
    """A ring that wants a password, of the test too."""

    @contextmanager
    def session(self, *numbers: int, keyspace: str | None = None) -> Iterator[Any]:
        """As the superuser that Cassandra makes."""
        cluster = Cluster(
            [self.nodes[number].host for number in numbers] or self.hosts,
            auth_provider=PlainTextAuthProvider("cassandra", "cassandra"),
            execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(request_timeout=10)},
            protocol_version=5,
        )
        try:
            yield cluster.connect(keyspace)
        finally:
            cluster.shutdown()

    def administer(self, *statements: str) -> None:
        """Carry them out as the superuser, each as soon as the nodes that it needs are there.

        On a busy machine nodes that have just started may take each other for dead once more. Each
        statement has to be one that may be carried out twice.
        """

        def done(statement: str) -> bool:
            try:
                with self.session() as session:
                    session.execute(statement)
            except (NoHostAvailable, OperationTimedOut):
                return False
            return True

        for statement in statements:
            wait_for(partial(done, statement), statement, 60, every=0.5)
