"""Every stored event of a ring, past the receiver. See `webhook.store.audit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import StartError, StoreUnavailable

ROWS_A_PAGE = 20  # a row is a write, and may be of some megabytes
SCAN_SECONDS = 60.0


def rows(url: str) -> list[tuple[int, str]]:
    """`(received_at in microseconds, body)` of each stored event, in order of receipt.

    Read by quorum. Raises StartError if the ring can't be read.
    """
    settings = RingSettings.from_url(url)
    found: list[tuple[int, str]] = []
    with _session(settings) as session:
        statement = SimpleStatement(
            f"SELECT minute, lane, seq, events FROM {settings.keyspace}.events",  # noqa: S608
            consistency_level=ConsistencyLevel.QUORUM,
            fetch_size=ROWS_A_PAGE,
        )
        writes = sorted(session.execute(statement, timeout=SCAN_SECONDS), key=_order)
        for write in writes:
            found += [(event.received_at, event.body) for event in write.events or ()]
    return sorted(found, key=lambda event: event[0])


_order = attrgetter("minute", "lane", "seq")


@contextmanager
def _session(settings: RingSettings) -> Iterator[Session]:
    ring = Ring(settings)
    try:
        ring.connect()
        session: Any = ring.session
        yield session
    except (DriverException, NoHostAvailable, StoreUnavailable) as error:
        raise StartError(f"the ring can't be read: {error}") from error
    finally:
        ring.close()
