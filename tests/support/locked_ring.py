"""A ring of real nodes that ask for a password."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile

from harness.ring import Ring

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
