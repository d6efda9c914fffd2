"""What operators do to a SQLite store: links, mounts, copies, rows by hand, clocks that jump."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from commands.copies import StoreError, back_up, empty, restore
from harness.waiting import wait_for
from tests.support.checked_receiver import EVENT, Receiver
from tests.support.rows import query, rows
from tools.root import ROOT
from webhook.events import Event
from webhook.store.audit import stored_ids
from webhook.store.contract import StartError
from webhook.store.sqlite import SqliteStore
from webhook.store.sqlite.files import LOCK, SHM, SUFFIXES, WAL, beside, has_log
from webhook.store.sqlite.mounted import mount_points

EXIT_START_FAILED = 3
ROWS_AND_COUNTS = "SELECT (SELECT count(*) FROM events), (SELECT sum(events) FROM counts)"
LARGEST = (1 << 63) - 1
DAY = 24 * 3600


def refusal(store: Path, command: Sequence[str] = ()) -> str:
    """What a receiver says that does not start on this store."""
    receiver = Receiver(store, command=command)
    try:
        with receiver:
            pytest.fail("it started")
    except RuntimeError:
        assert receiver.process.returncode == EXIT_START_FAILED
        assert "Traceback" not in receiver.log
        return receiver.log


def crash(store: Path, events: int = 50) -> None:
    """Leave a store as a crash does: what was acknowledged last is in the log."""
    receiver = Receiver(store).start()
    receiver.post_many(events)
    receiver.kill()
    assert has_log(store)


def by_hand(store: Path, sql: str, *parameters: object) -> None:
    """As an operator does with `sqlite3`."""
    with closing(sqlite3.connect(store, isolation_level=None, timeout=20)) as shell:
        shell.execute(sql, parameters)


def await_refusal(receiver: Receiver) -> None:
    wait_for(lambda: receiver.post().status == 503, "refusal", 3)
    assert receiver.post().json["stored"] == "no"


# Other names of the same file


@pytest.fixture
def linked(tmp_path: Path, store_path: Path) -> Path:
    """A symbolic link in another folder that leads to where the store will be."""
    link = tmp_path / "app" / "events.db"
    link.parent.mkdir()
    link.symlink_to(store_path)
    return link


def test_the_log_and_the_lock_are_beside_the_target_of_a_link(
    linked: Path, store_path: Path
) -> None:
    with Receiver(linked) as receiver:
        receiver.post_many(5)
        assert "in use by another receiver" in refusal(store_path)
        assert all(beside(store_path, suffix).exists() for suffix in (*SUFFIXES, LOCK))
        assert [file.name for file in linked.parent.iterdir()] == [linked.name]
        assert receiver.count() == 5
    assert rows(store_path) == 5


def test_the_target_of_a_link_is_watched(linked: Path, store_path: Path) -> None:
    with Receiver(linked, expect_errors=True) as receiver:
        receiver.post_many(10)
        os.truncate(store_path, 0)
        await_refusal(receiver)


def test_a_link_that_leads_elsewhere_is_another_store(linked: Path, store_path: Path) -> None:
    other = store_path.with_name("other.db")
    with Receiver(linked, expect_errors=True) as receiver:
        receiver.post_many(10)
        other.touch()
        linked.unlink()
        linked.symlink_to(other)
        await_refusal(receiver)
        assert "does not lead to" in receiver.log
        # It is led back: the receiver goes on.
        linked.unlink()
        linked.symlink_to(store_path)
        wait_for(receiver.ready, "ready again", 5)
        before = receiver.count()
        receiver.post_many(1)
    assert rows(store_path) == before + 1


def test_a_second_receiver_by_a_hard_link_is_refused(receiver: Receiver, store_path: Path) -> None:
    other = store_path.with_name("other.db")
    os.link(store_path, other)
    assert "in use by another receiver, under another name" in refusal(other)
    receiver.post_many(10)
    assert receiver.count() == rows(store_path) == 10


def test_without_the_lock_file_a_second_receiver_is_refused_too(
    receiver: Receiver, store_path: Path
) -> None:
    beside(store_path, LOCK).unlink()
    assert "in use by another receiver" in refusal(store_path)
    receiver.post_many(10)
    assert receiver.count() == 10


def test_without_the_lock_file_an_open_store_is_not_put_aside_either(
    receiver: Receiver, store_path: Path
) -> None:
    receiver.post_many(10)
    beside(store_path, LOCK).unlink()
    with pytest.raises(StoreError, match="in use by another receiver"):
        empty(store_path)
    receiver.post_many(10)
    assert receiver.count() == 20


@pytest.mark.parametrize("runs", [False, True], ids=["alone", "while one has it open"])
def test_a_store_that_is_mounted_by_itself_is_refused(
    tmp_path: Path, store_path: Path, runs: bool
) -> None:
    """As by `docker run -v events.db:/data/events.db`: the log would be in the container."""
    data = tmp_path / "a folder" / "events.db"
    data.parent.mkdir()
    data.touch()
    store_path.touch()
    own = ("unshare", "--map-root-user", "--mount")
    tried = subprocess.run(
        [*own, "mount", "--bind", store_path, data], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    mounting = ("sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh")
    container = (*own, *mounting, str(store_path), str(data))
    if runs:
        with Receiver(store_path) as receiver:
            assert "Mount the folder" in refusal(data, container)
            receiver.post_many(10)
            assert receiver.count() == 10
    else:
        assert "Mount the folder" in refusal(data, container)
    assert not has_log(data)


def test_mount_points_are_read_with_any_name(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "36 22 8:1 /my\\040store.db /data/my\\040store.db rw - ext4 /dev/sda1 rw\n"
        "37 22 8:1 /a\u2028b\u00a0c /back\\134slash\u2028\u00a0 rw - ext4 /dev/sda1 rw\n"
    )
    assert mount_points(mounts) == {"/", "/data/my store.db", "/back\\slash\u2028\u00a0"}
    assert mount_points(tmp_path / "none") == set()


# Other places


def test_a_crashed_store_may_be_copied_elsewhere(store_path: Path, tmp_path: Path) -> None:
    """As `cp -a` does: every file is another one than the lock file says."""
    crash(store_path, 700)
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in tmp_path.glob("events.db*"):
        shutil.copy2(file, copy)
    with Receiver(copy / store_path.name) as receiver:
        assert receiver.count() == 700
        receiver.post_many(1)


def test_another_store_in_a_folder_that_was_copied_is_refused(
    store_path: Path, tmp_path: Path
) -> None:
    """However alike they are: both are new, and as large."""
    crash(store_path)
    with Receiver(tmp_path / "other.db") as receiver:
        receiver.post_many(3)
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in tmp_path.glob("events.db*"):
        shutil.copy2(file, copy)
    shutil.copy2(tmp_path / "other.db", copy / store_path.name)
    assert "belongs to another file" in refusal(copy / store_path.name)


def test_deleted_files_that_were_copied_back_from_proc_are_the_store(store_path: Path) -> None:
    """The advice that the receiver gives while it runs, with a crash at its end."""
    receiver = Receiver(store_path, expect_errors=True).start()
    try:
        receiver.post_many(300)
        for suffix in SUFFIXES:
            beside(store_path, suffix).unlink()
        await_refusal(receiver)
        opened = Path(f"/proc/{receiver.pid}/fd")
        leads = {}
        for file in opened.iterdir():
            with suppress(FileNotFoundError):  # it is opened and closed as it looks
                leads[str(file.readlink())] = file
        for suffix in ("", WAL):
            file = beside(store_path, suffix)
            shutil.copyfile(leads[f"{file} (deleted)"], file)
    finally:
        receiver.kill()
    with Receiver(store_path) as after:
        assert after.count() == rows(store_path) >= 300


def test_a_relative_store_moves_with_its_folder(tmp_path: Path) -> None:
    folder, away = tmp_path / "app", tmp_path / "app.old"
    folder.mkdir()
    there = ("env", "-C", str(folder), f"PYTHONPATH={ROOT}")
    with Receiver("sqlite:///events.db", command=there, expect_errors=True) as receiver:
        receiver.post_many(10)
        folder.rename(away)
        await_refusal(receiver)
        away.rename(folder)
        wait_for(receiver.ready, "ready again", 5)
        before = receiver.count()
        receiver.post_many(1)
    assert rows(folder / "events.db") == before + 1


# Tools


def test_reading_all_events_leaves_a_log_whose_file_is_elsewhere(
    store_path: Path, tmp_path: Path
) -> None:
    """As scripts/verify does it."""
    receiver = Receiver(store_path).start()
    for number in range(20):
        assert receiver.post({**EVENT, "id": str(number)}).status == 200
    receiver.kill()
    left = beside(store_path, WAL).read_bytes()
    store_path.rename(tmp_path / "away.db")
    store_path.touch()
    with pytest.raises(StartError, match="Put that file back"):
        list(stored_ids(f"sqlite:///{store_path}"))
    assert beside(store_path, WAL).read_bytes() == left
    (tmp_path / "away.db").rename(store_path)
    assert sorted(map(int, stored_ids(f"sqlite:///{store_path}"))) == list(range(20))


def test_what_was_put_aside_within_one_second_is_all_there(
    store_path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with Receiver(store_path) as receiver:
        receiver.post_many(1)
        back_up(store_path, copy)
    put_aside = empty(store_path)
    for number in range(4):
        store_path.write_text(f"{number}")
        put_aside += restore(copy, store_path) if number % 2 else empty(store_path)
    assert rows(put_aside[0]) == 1
    # The set after each restoring is a store, too.
    texts = [file.read_bytes() for file in put_aside[1:] if not file.name.endswith((WAL, SHM))]
    assert [text for text in texts if len(text) == 1] == [b"0", b"1", b"2", b"3"]


def test_a_store_is_restored_from_one_that_is_open(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    """With what is only in its log."""
    receiver.post_many(500)
    restored = tmp_path / "restored.db"
    restore(store_path, restored)
    assert query(restored, ROWS_AND_COUNTS) == [(500, 500)]


def test_an_idle_shell_keeps_no_log_after_a_stop(store_path: Path, tmp_path: Path) -> None:
    """So a copy of the file alone has all events."""
    with closing(sqlite3.connect(store_path)) as shell:
        with Receiver(store_path) as receiver:
            receiver.post_many(500)
            assert shell.execute("SELECT count(*) FROM events").fetchone() == (500,)
        assert not has_log(store_path)
        shutil.copyfile(store_path, tmp_path / "copy.db")
        assert rows(tmp_path / "copy.db") == 500


def test_a_shell_that_reads_keeps_the_log_and_the_receiver_says_so(store_path: Path) -> None:
    receiver = Receiver(store_path).start()
    receiver.post_many(5)
    with closing(sqlite3.connect(store_path, isolation_level=None)) as shell:
        shell.execute("BEGIN")
        shell.execute("SELECT count(*) FROM events").fetchone()
        receiver.post_many(5)
        assert receiver.stop() == 0
        assert has_log(store_path)
        assert "somebody else has" in receiver.log
    assert rows(store_path) == 10


# Rows by hand


@pytest.mark.parametrize("time", ["2026-11-29 10:00:00", 2461373.9, b"now"])
def test_a_row_without_a_time_is_in_nobody_s_way(store_path: Path, time: object) -> None:
    row = "INSERT INTO events (id, received_at, type, body) VALUES (-1, ?, 'a', '{}')"
    with Receiver(store_path) as receiver:
        by_hand(store_path, row, time)
        receiver.post_many(2)
        receiver.post_many(2)
        assert receiver.ready()
    back_up(store_path, store_path.with_name("copy.db"))
    with Receiver(store_path) as receiver:
        receiver.post_many(1)
        assert receiver.count() == 5
        assert rows(store_path) == 6


def test_a_row_with_the_largest_id_is_named_and_nothing_miscounted(store_path: Path) -> None:
    with Receiver(store_path, expect_errors=True) as receiver:
        receiver.post_many(10)
        by_hand(store_path, "INSERT INTO events VALUES (?, 1, 'a', NULL, '{}')", LARGEST)
        refused = receiver.post()
        assert (refused.status, refused.json["stored"]) == (503, "no")
        assert f"an event with the id {LARGEST}" in receiver.log
        assert receiver.count() == 10
        by_hand(store_path, "DELETE FROM events WHERE id = ?", LARGEST)
        wait_for(lambda: receiver.post().status == 200, "a write")
        assert receiver.count() == rows(store_path) == 11


def test_a_delete_by_hand_is_counted_anew(store_path: Path, tmp_path: Path) -> None:
    """In a backup, and with the next start."""
    copy = tmp_path / "copy.db"
    with Receiver(store_path) as receiver:
        receiver.post_many(100)
        by_hand(store_path, "DELETE FROM events WHERE id <= 30")
        assert back_up(store_path, copy).events == 70
        assert query(copy, ROWS_AND_COUNTS) == [(70, 70)]
    with Receiver(store_path) as receiver:
        assert receiver.count() == 70
        assert "they were counted anew" in receiver.log
    with Receiver(store_path) as receiver:
        assert "counted anew" not in receiver.log


# Clocks


@dataclass
class Machine:
    """Its clock is right but for what it is ahead. Nobody waits for the time that passes."""

    passed: float = 0.0
    ahead: float = 0.0

    def now(self) -> float:
        return 1_800_000_000 + self.passed + self.ahead

    def monotonic(self) -> float:
        return self.passed

    @asynccontextmanager
    async def store(self, path: Path) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """An open one that keeps events for a week; what writes so many, and lets some expire."""
        store = SqliteStore(path, 7 * DAY, self.now, self.monotonic)

        async def write(events: int) -> None:
            self.passed += 5
            await store.write([Event(int(self.now() * 1e6), "a", None, "{}")] * events)

        await store.open()
        try:
            yield write
        finally:
            await store.close()


def test_a_start_under_a_clock_that_has_jumped_deletes_nothing(store_path: Path) -> None:
    """An event that was received under this clock is no proof of it."""

    async def test() -> None:
        machine = Machine()
        async with machine.store(store_path) as write:
            await write(500)
            machine.ahead = 8 * DAY
            await write(1)
        async with machine.store(store_path) as write:
            await write(500)
            assert rows(store_path) == 1001
            machine.ahead = 0
            await write(500)
        assert rows(store_path) == 1501

    asyncio.run(test())


def test_a_clock_that_was_set_back_is_not_believed_again(store_path: Path) -> None:
    async def test() -> None:
        machine = Machine(ahead=8 * DAY)
        async with machine.store(store_path) as write:
            machine.ahead = 0
            await write(500)
            machine.ahead = 8 * DAY
            await write(500)
        async with machine.store(store_path) as write:
            await write(500)
        assert rows(store_path) == 1500

    asyncio.run(test())


def test_events_of_a_clock_that_was_ahead_hold_no_others_back(store_path: Path) -> None:
    async def test() -> None:
        machine = Machine()
        async with machine.store(store_path) as write:
            machine.ahead = 365 * DAY
            await write(1)
            machine.ahead = 0
            for _ in range(30):
                machine.passed += DAY
                await write(100)
            assert rows(store_path) == 1 + 7 * 100
        assert query(store_path, ROWS_AND_COUNTS) == [(701, 701)]

    asyncio.run(test())
