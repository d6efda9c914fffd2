"""Every stored event of a ring, past the receiver. See `webhook.store.audit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import StartError, StoreUnavailable

ROWS_A_PAGE = 20  # a row is a write, and may be of some megabytes
SCAN_SECONDS = 60.0


def rows(url: str) -> Iterator[tuple[int, str]]:
    """`(received_at in microseconds, body)` of each stored event, a lane's in order of receipt.

    Read by quorum, a few writes at a time. Raises StartError if the ring can't be read.
    """
    settings = RingSettings.from_url(url)
    with _session(settings) as session:
        statement = SimpleStatement(
            f"SELECT events FROM {settings.keyspace}.events",  # noqa: S608
            consistency_level=ConsistencyLevel.QUORUM,
            fetch_size=ROWS_A_PAGE,
        )
        for write in session.execute(statement, timeout=SCAN_SECONDS):
            for event in write.events or ():
                yield event.received_at, event.body


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
