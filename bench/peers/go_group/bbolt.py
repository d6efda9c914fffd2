"""Becomes the Go peer with a group commit into bbolt."""

from bench.peers.go_group import become

become("bbolt")
