"""Bounds on what clients may do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds on what clients may do; times in seconds."""

    header_bytes: int
    body_bytes: int
    """Of a body, after inflating."""
    receiving_bytes: int
    """Bodies that are being received, all together."""
    request_seconds: float
    idle_seconds: float
    connection_age_seconds: float
    event_paths: frozenset[bytes]
    """The paths whose POSTs are events."""
