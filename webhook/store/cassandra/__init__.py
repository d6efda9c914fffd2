"""The cluster's store: Apache Cassandra, with the data model in `cassandra/schema.cql`.

`url` says where the ring is. `link` is a connection to it, `ring` sends statements over one, and
`keeper` keeps it connected. `codec` makes the bytes of cells, `lane` writes, `window` counts, and
`store` combines them into a store.
"""

from webhook.store.cassandra.store import CassandraStore
from webhook.store.cassandra.url import RingSettings

__all__ = ["CassandraStore", "RingSettings"]
