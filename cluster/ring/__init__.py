"""The Cassandra ring: a node of it, and its schema."""
