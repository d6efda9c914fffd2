"""New, empty stores on a ring."""

import uuid

from tests.support.ring import Ring


def new_store(ring: Ring, options: str = "") -> str:
    """The URL of a keyspace of its own, with its tables; `options` go behind it."""
    keyspace = f"test_{uuid.uuid4().hex[:12]}"
    ring.apply_schema(keyspace)
    return f"cassandra://{','.join(ring.hosts)}/{keyspace}{options}"
