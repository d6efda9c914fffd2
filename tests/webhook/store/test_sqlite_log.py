"""What the index of a log says, held against what SQLite does to the log and to the store."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webhook.store.sqlite.files import WAL, beside
from webhook.store.sqlite.index import Index, LogIndex
from webhook.store.sqlite.overwritten import Watch

CREATE = "CREATE TABLE rows (id INTEGER PRIMARY KEY, padding BLOB)"
INSERT = "INSERT INTO rows (padding) VALUES (randomblob(3000))"


@contextmanager
def opened(path: Path) -> Iterator[tuple[sqlite3.Connection, LogIndex]]:
    """A store with a table, and the index of its log. That is closed last: see LogIndex."""
    with closing(connect(path)) as db:
        db.execute(CREATE)
        index = LogIndex.of(path)
        yield db, index
    index.close()


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    return db


def read(index: LogIndex) -> Index:
    found = index.read()
    assert found is not None
    return found


def test_it_says_how_long_the_log_is_and_how_much_was_copied(store_path: Path) -> None:
    log = beside(store_path, WAL)
    with opened(store_path) as (db, index):
        for _ in range(3):
            db.execute(INSERT)
        written = read(index)
        assert written.page_bytes == 4096
        assert log.stat().st_size == written.least_log_bytes
        assert written.least_log_bytes - written.last_frame_at == 24 + 4096
        assert written.copied == 0
        assert written.settled
        # 1. Copied: as a whole, and it is the same log.
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        copied = read(index)
        assert (copied.salts, copied.frames) == (written.salts, written.frames)
        assert copied.copied == copied.to_be_copied == copied.frames
        # 2. The next write begins it anew. The file stays as long as it was.
        db.execute(INSERT)
        anew = read(index)
        assert anew.salts != copied.salts
        assert 0 < anew.frames < copied.frames
        assert anew.copied == anew.to_be_copied == 0
        assert log.stat().st_size == copied.least_log_bytes
        # 3. Emptied by a shell: it says so.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert log.stat().st_size == read(index).least_log_bytes == read(index).last_frame_at == 0


def test_it_counts_the_commits_that_wrote_something(store_path: Path) -> None:
    with opened(store_path) as (db, index):
        before = read(index).commits
        db.execute(INSERT)
        assert read(index).commits == before + 1
        for end in ("COMMIT", "ROLLBACK"):
            db.execute("BEGIN IMMEDIATE")
            if end == "ROLLBACK":
                db.execute(INSERT)
            db.execute(end)
        db.execute("PRAGMA wal_checkpoint(RESTART)")
        assert read(index).commits == before + 1
        db.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            db.execute(INSERT)
        db.execute("COMMIT")
        assert read(index).commits == before + 2


def test_without_an_index_there_is_nothing_to_be_read(store_path: Path) -> None:
    shm = beside(store_path, "-shm")
    shm.write_bytes(b"\0" * 100)
    index = LogIndex.of(store_path)
    assert index.read() is None
    shm.write_bytes(b"\0" * 32768)
    assert read(index).frames == 0
    # One that is being written: its two copies differ.
    shm.write_bytes(b"\0" * 8 + b"\1" + b"\0" * 32759)
    assert index.read() is None
    index.close()


LOOK = "look"
SEVERAL = "BEGIN; INSERT INTO rows VALUES (NULL, ''); INSERT INTO rows VALUES (NULL, ''); COMMIT"
LARGE = f"BEGIN; {f'{INSERT};' * 30} COMMIT"
GIVEN_UP = f"BEGIN; {INSERT}; ROLLBACK"
READING = "BEGIN; SELECT count(*) FROM rows"
COPYINGS = [f"PRAGMA wal_checkpoint({how})" for how in ("PASSIVE", "FULL", "RESTART", "TRUNCATE")]
STEPS = [LOOK, INSERT, SEVERAL, LARGE, GIVEN_UP, READING, "END", "VACUUM", "DELETE FROM rows"]
TURNS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([*STEPS, *COPYINGS])), max_size=40)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(turns=TURNS)
def test_nothing_that_sqlite_does_is_an_overwriting(
    tmp_path: Path, turns: Sequence[tuple[int, str]]
) -> None:
    """Three connections, in any order: the log is copied, goes on, and begins anew."""
    path = next(one for n in count() if not (one := tmp_path / f"{n}.db").exists())
    with ExitStack() as opened_last, ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(path))) for _ in range(3)]
        connections[0].execute(CREATE)
        watch = Watch.on(path)
        assert watch is not None
        opened_last.callback(watch.close)
        for number, step in [*turns, (0, LOOK)]:
            if step == LOOK:
                assert watch.look() is None
                continue
            with suppress(sqlite3.OperationalError):  # busy, or in a transaction
                connections[number].executescript(step)
                connections[number].execute("PRAGMA synchronous = OFF")


@pytest.mark.parametrize("writes", [1, 2], ids=["its first commit", "its second commit"])
@pytest.mark.parametrize("copied", ["as a whole", "but for a frame"])
def test_a_log_that_began_anew_is_no_copying(store_path: Path, writes: int, copied: str) -> None:
    """So it doesn't hide that the store was cut off, as long as nobody can have copied anything."""
    with ExitStack() as opened_last, closing(connect(store_path)) as db:
        db.execute(CREATE)
        db.execute(INSERT)
        if copied == "as a whole":
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        watch = Watch.on(store_path)
        assert watch is not None
        opened_last.callback(watch.close)
        assert watch.look() is None
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        os.truncate(store_path, store_path.stat().st_size - 4096)
        for _ in range(writes):
            db.execute(INSERT)
        found = watch.look()
    if copied == "as a whole" and writes == 1:
        assert found == f"{store_path} was overwritten"
    else:
        assert found is None  # SQLite may have done it
