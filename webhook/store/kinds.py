"""The kinds of stores: from `WEBHOOK_STORE` to a store, and to its events.

Another store is a package beside `sqlite` and `cassandra`, and a row here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webhook.store.contract import StartError, Store
from webhook.store.sqlite import SqliteStore
from webhook.store.sqlite.audit import rows as sqlite_rows
from webhook.store.sqlite.url import SCHEME, sqlite_path


@dataclass(frozen=True, slots=True)
class StoreKind:
    """A kind of store, known by how its URLs begin."""

    scheme: str
    """The beginning, up to what names the one store."""
    example: str
    open: Callable[[str, int], Store]
    """The store of a URL, not opened yet; the other argument is its retention in seconds."""
    rows: Callable[[str], Iterator[tuple[int, str]]]
    """`(received_at in microseconds, body)` of each event in it, past the receiver.

    Raises StartError if the store can't be read, whatever its own library raises.
    """


def _open_sqlite(url: str, retention_seconds: int) -> Store:
    return SqliteStore(sqlite_path(url), retention_seconds)


def _open_cassandra(url: str, retention_seconds: int) -> Store:
    # Here, so that who has no ring need not load its driver.
    from webhook.store.cassandra import CassandraStore, RingSettings

    return CassandraStore(RingSettings.from_url(url), retention_seconds)


def _cassandra_rows(url: str) -> Iterator[tuple[int, str]]:
    from webhook.store.cassandra.audit import rows

    return rows(url)


STORE_KINDS = (
    StoreKind(SCHEME, "sqlite:///path/to/events.db", _open_sqlite, sqlite_rows),
    StoreKind(
        "cassandra://",
        "cassandra://host1,host2,host3/keyspace",
        _open_cassandra,
        _cassandra_rows,
    ),
)


def kind_of(url: str) -> StoreKind:
    """The kind of the store that `url` names. Raises StartError if it names none."""
    for kind in STORE_KINDS:
        if url.startswith(kind.scheme) and url != kind.scheme:
            return kind
    raise StartError(
        f"WEBHOOK_STORE={url.partition('@')[2] or url!r} is not a store; use "
        f"{' or '.join(kind.example for kind in STORE_KINDS)}"
    )


def open_store(url: str, retention_seconds: int) -> Store:
    """The store that `url` names, not opened yet. Raises StartError if it names none."""
    return kind_of(url).open(url, retention_seconds)
