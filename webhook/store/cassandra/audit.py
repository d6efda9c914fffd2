"""Every stored event of a ring, read without the receiver. See `webhook.store.audit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cassandra import ConsistencyLevel, DriverException, ReadFailure
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import StartError, StoreUnavailable

# A row is a write, of one event or of some megabytes: pages grow while their bodies stay small.
FIRST_ROWS = 20
MOST_ROWS = 100
PAGE_BYTES = 4 << 20
SCAN_SECONDS = 60.0


def rows(url: str) -> Iterator[tuple[int, str]]:
    """`(received_at in microseconds, body)` of each stored event, a lane's in order of receipt.

    Read by quorum, a few writes at a time. Raises StartError if the ring can't be read.
    """
    settings = RingSettings.from_url(url)
    query = f"SELECT events FROM {settings.keyspace}.events"  # noqa: S608
    size, state = FIRST_ROWS, None
    with _session(settings) as session:
        while True:
            statement = SimpleStatement(
                query, consistency_level=ConsistencyLevel.QUORUM, fetch_size=size
            )
            try:
                page = session.execute(statement, timeout=SCAN_SECONDS, paging_state=state)
            except ReadFailure:  # as of a page that is larger than cassandra.yaml lets it be
                if size == 1:
                    raise
                size = max(1, size // 4)
                continue
            length = 0
            for write in page.current_rows:
                for event in write.events or ():
                    length += len(event.body)
                    yield event.received_at, event.body
            state = page.paging_state
            if state is None:
                return
            size = min(2 * size, MOST_ROWS) if length < PAGE_BYTES / 2 else min(size, FIRST_ROWS)


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
