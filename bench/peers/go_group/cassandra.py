"""Becomes the Go peer with a group commit into Cassandra."""

from bench.peers.go_group import become

become("cassandra")
