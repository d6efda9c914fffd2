"""What only the SQLite store promises: one process, one file, damage and full disks."""

import asyncio
import errno
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import EVENT, Receiver
from tests.support.faked_clock import FakedClock
from tests.support.rows import query, rows
from tests.support.strace import needs_strace
from webhook.events import Event
from webhook.store.sqlite import SqliteStore
from webhook.store.sqlite.guard import LOOK_SECONDS
from webhook.store.sqlite.opening import LARGEST_IDLE_LOG_BYTES

EXIT_START_FAILED = 3
RETENTION_SECONDS = 3600
ROWS_AND_COUNTS = "SELECT (SELECT count(*) FROM events), (SELECT sum(events) FROM counts)"


def assert_refused(path: Path, words: str) -> None:
    """A receiver does not start on `path`, says why, and leaves the file as it was."""
    before = path.read_bytes()
    receiver = Receiver(path).launch()
    assert receiver.wait() == EXIT_START_FAILED
    assert words in receiver.log
    assert str(path) in receiver.log
    assert path.read_bytes() == before


def test_a_second_process_on_the_same_file_is_refused(receiver: Receiver, store_path: Path) -> None:
    other = Receiver(store_path).launch()
    assert other.wait() == EXIT_START_FAILED
    assert f"in use by another receiver (process {receiver.pid})" in other.log
    assert receiver.post().status == 200


def test_the_lock_of_a_killed_process_is_free(store_path: Path) -> None:
    receiver = Receiver(store_path).start()
    receiver.kill()
    with Receiver(store_path) as after:
        assert after.post().status == 200


def test_a_file_that_is_no_database_is_refused(store_path: Path) -> None:
    store_path.write_text("the shopping list\n" * 1000)
    assert_refused(store_path, "not a SQLite file")


def test_another_applications_database_is_refused(store_path: Path) -> None:
    with closing(sqlite3.connect(store_path)) as db:
        db.executescript("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')")
    assert_refused(store_path, "another application")


def test_a_newer_schema_is_refused(store_path: Path) -> None:
    with Receiver(store_path):
        pass
    with closing(sqlite3.connect(store_path)) as db:
        db.execute("PRAGMA user_version = 99")
    assert_refused(store_path, "schema version 99")


def test_a_damaged_file_is_refused(store_path: Path) -> None:
    with Receiver(store_path) as receiver:
        for _ in range(20):
            receiver.post_many(1000)
    size = store_path.stat().st_size
    with store_path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xde\xad\xbe\xef" * 4096)
    assert_refused(store_path, "damaged")


def test_an_empty_file_is_a_new_store(store_path: Path) -> None:
    store_path.touch()
    with Receiver(store_path) as receiver:
        assert receiver.post().status == 200


def test_expired_events_go_in_small_steps_and_leave_the_rest(tmp_path: Path) -> None:
    """First while nothing is written, then along with writes."""
    path = tmp_path / "events.db"
    start = 1_800_000_000.0
    now = start

    def batch(second: float, count: int) -> list[Event]:
        return [Event(int(second * 1e6), "a", None, '{"type": "a"}')] * count

    async def test() -> None:
        nonlocal now
        store = SqliteStore(path, RETENTION_SECONDS, now=lambda: now, monotonic=lambda: now)
        await store.open()
        try:
            await store.write(batch(start, 2500))
            now = start + RETENTION_SECONDS
            await store.write(batch(now, 100))
            assert rows(path) == 2600

            now += 1  # the first 2,500 are expired now
            deadline = time.monotonic() + 20
            while rows(path) > 100:
                assert time.monotonic() < deadline
                ((stored, counted),) = query(path, ROWS_AND_COUNTS)
                assert stored == counted
                await asyncio.sleep(0.05)
            assert rows(path) == 100

            now += RETENTION_SECONDS + 1
            await store.write(batch(now, 60))
            assert rows(path) == 60
            assert await store.counts_since(0) == {int(now): 60}
        finally:
            await store.close()

    asyncio.run(test())


def test_a_log_that_sqlite_itself_deleted_is_nobody_s_doing(store_path: Path) -> None:
    """When both connections have failed, the last one to go takes the log along."""

    async def test() -> None:
        store = SqliteStore(store_path, RETENTION_SECONDS)
        event = [Event(int(time.time() * 1e6), "a", None, "{}")]
        await store.open()
        try:
            await store.write(event)
            store._writer.failed(sqlite3.OperationalError("disk I/O error"))  # noqa: SLF001
            store._reader.close()  # noqa: SLF001
            assert not store_path.with_name("events.db-wal").exists()
            for _ in range(2):
                await asyncio.sleep(2 * LOOK_SECONDS)  # past the next look
                await store.write(event)
            await store.health()
            assert sum((await store.counts_since(0)).values()) == 3
        finally:
            await store.close()

    asyncio.run(test())


def test_a_clock_that_jumps_deletes_nothing(store_path: Path, tmp_path: Path) -> None:
    """By eight days, past the retention, for some seconds; then it is set right."""
    clock = FakedClock(tmp_path / "offset")
    with Receiver(store_path, command=clock.command) as receiver:
        receiver.post_many(1000)
        clock.set(8 * 24 * 3600)
        wait_for(lambda: "nothing expires until" in receiver.log, "it says so", 20)
        receiver.post_many(10)  # which takes expired events along, where there are any
        assert rows(store_path) == 1010
        clock.set(0)
        wait_for(lambda: receiver.post().status == 200, "a write by the right clock")
        assert rows(store_path) == 1011
    # Result: the next receiver, with the right clock, has them all.
    with Receiver(store_path) as receiver:
        assert receiver.count() >= 1001
        assert query(store_path, ROWS_AND_COUNTS) == [(1011, 1011)]


def test_events_of_a_clock_that_was_ahead_are_counted_and_have_a_metric(
    store_path: Path, tmp_path: Path
) -> None:
    clock = FakedClock(tmp_path / "offset")
    clock.set(1800)
    with Receiver(store_path, command=clock.command) as receiver:
        receiver.post_many(7)
        assert receiver.count() == 7
        assert receiver.metric("webhook_events_ahead") == 0
    with Receiver(store_path) as receiver:
        receiver.post_many(2)
        assert receiver.count() == 9
        assert receiver.metric("webhook_events_ahead") == 7


def test_the_log_that_a_long_reader_has_made_grow_is_cut_back(
    receiver: Receiver, store_path: Path
) -> None:
    event = {**EVENT, "padding": "x" * 900}
    log = store_path.with_name("events.db-wal")
    with closing(sqlite3.connect(store_path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        while log.stat().st_size <= LARGEST_IDLE_LOG_BYTES + (4 << 20):
            receiver.post([event] * 1000)
        assert receiver.metric("webhook_store_log_bytes") == log.stat().st_size
    # 2. The reader has gone: the next writes cut it back.
    wait_for(
        lambda: receiver.post().status == 200 and log.stat().st_size <= LARGEST_IDLE_LOG_BYTES,
        "a smaller log",
    )
    assert receiver.count() == rows(store_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 4 MB."""
    image, mount = tmp_path / "disk.img", tmp_path / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(4 << 20)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 (e2fsprogs) is not installed")
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
    mounted = subprocess.run(
        ["mount", "-o", "loop", image, mount], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no loop device can be mounted here: {mounted.stderr.strip()}")
    yield mount
    subprocess.run(["umount", mount], check=True)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    try:
        with ballast.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def test_a_full_disk_is_503_and_heals_by_itself(small_disk: Path) -> None:
    path = small_disk / "events.db"
    ballast = small_disk / "ballast"
    with Receiver(path, expect_errors=True) as receiver:
        receiver.post_many(10)
        acknowledged = 10
        fill(ballast)
        refused = None
        for _ in range(500):
            answer = receiver.post([EVENT] * 100)
            if answer.status != 200:
                refused = answer
                break
            acknowledged += 100
        assert refused is not None
        assert refused.status == 503
        assert refused.headers["Retry-After"] == "1"
        assert receiver.count() == acknowledged
        ballast.unlink()
        wait_for(lambda: receiver.get("/ready").status == 200, "ready again")
        receiver.post_many(10)
        acknowledged += 10
        assert receiver.count() == rows(path) == acknowledged
        assert receiver.log.count("can't write to") == receiver.log.count("works again") == 1
        assert "CRITICAL" not in receiver.log


@pytest.mark.parametrize("before", ["a new store", "one that is there"])
def test_a_full_disk_stops_the_start_and_nothing_is_wrong_with_the_file(
    small_disk: Path, before: str
) -> None:
    path = small_disk / "events.db"
    if before == "one that is there":
        with Receiver(path) as receiver:
            receiver.post_many(10)
    ballast = small_disk / "ballast"
    fill(ballast)
    receiver = Receiver(path)
    assert receiver.launch().wait() == EXIT_START_FAILED
    assert "the disk is full: make room and start again" in receiver.log
    assert "Restore" not in receiver.log
    assert "Traceback" not in receiver.log
    ballast.unlink()
    with Receiver(path) as receiver:
        receiver.post_many(10)


@needs_strace
def test_a_failed_sync_of_a_commit_is_unknown_and_the_next_write_works(store_path: Path) -> None:
    """One sync of the log fails with EIO, as a dying disk would have it."""
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync")
    fault = ("-e", "inject=fdatasync:error=EIO:when=16")
    with Receiver(store_path, command=(*strace, *fault), expect_errors=True) as receiver:
        answers = [receiver.post() for _ in range(20)]
        failed = [answer for answer in answers if answer.status != 200]
        assert len(failed) == 1
        assert failed[0].status == 503
        assert failed[0].json["stored"] == "unknown"
        stored = rows(store_path)
        assert stored in {19, 20}
        assert receiver.count() == stored
        assert receiver.get("/ready").status == 200


def test_an_operator_can_read_it_with_sqlite3(receiver: Receiver, store_path: Path) -> None:
    receiver.post_many(3)
    receiver.post({"type": "call.finished", "call_id": "9"})
    assert query(store_path, "SELECT type, count(*) FROM events GROUP BY type ORDER BY 1") == [
        ("call.finished", 1),
        ("call.new", 3),
    ]
    assert query(store_path, "SELECT sum(events) FROM counts") == [(4,)]
