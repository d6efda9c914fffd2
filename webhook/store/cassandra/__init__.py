"""The cluster's store: Apache Cassandra, its data model in `cassandra/schema.cql`.

`url` says where the ring is, `link` is a connection with it, `ring` talks over one and `keeper`
keeps it; `codec` makes the bytes of cells, `lane` writes, `window` counts, and `store` is all of
them as one store.
"""

from webhook.store.cassandra.store import CassandraStore
from webhook.store.cassandra.url import RingSettings

__all__ = ["CassandraStore", "RingSettings"]
