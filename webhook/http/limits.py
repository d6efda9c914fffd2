"""Bounds on what clients may do."""

from collections.abc import Callable
from dataclasses import dataclass

from webhook.http.exchange import PostExchange
from webhook.http.origin import NO_HOSTS, Hosts


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
    hosts: Hosts = NO_HOSTS
    """Names by which browsers may address the receiver."""
    admit: Callable[[PostExchange], None] | None = None
    """Raises Problem for a POST of events whose head says that it may not come in."""
