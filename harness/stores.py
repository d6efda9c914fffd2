"""New, empty stores on a ring."""

from harness.ring import Ring


def new_store(ring: Ring, options: str = "") -> str:
    """The URL of a keyspace of its own, with its tables; `options` go behind it."""
    return f"cassandra://{','.join(ring.hosts)}/{ring.new_keyspace()}{options}"
