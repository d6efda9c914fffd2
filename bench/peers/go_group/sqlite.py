"""Becomes the Go peer with a group commit into SQLite."""

from bench.peers.go_group import become

become("sqlite")
