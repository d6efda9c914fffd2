"""A store whose files somebody moves, deletes or replaces, while it runs or is down."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.receiver import EVENT, Receiver
from tests.support.rows import rows
from tests.support.waiting import wait_for
from webhook.store.files import LOOK_SECONDS

EXIT_START_FAILED = 3


def files(store: Path) -> list[Path]:
    """What there is of a store."""
    return sorted(store.parent.glob(f"{store.name}*"))


def delete(store: Path) -> None:
    for file in files(store):
        file.unlink()


def move(store: Path) -> None:
    for file in files(store):
        file.rename(file.with_name(f"moved-{file.name}"))


def replace_with_a_copy(store: Path) -> None:
    copy = store.with_name("copy.db")
    with closing(sqlite3.connect(store)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    copy.rename(store)


def delete_the_log(store: Path) -> None:
    store.with_name("events.db-wal").unlink()


def copy_over(store: Path) -> None:
    """As `cp copy.db events.db` does: the file stays the same one."""
    copy = store.with_name("copy.db")
    with closing(sqlite3.connect(store)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    shutil.copyfile(copy, store)


def empty(store: Path) -> None:
    """As `> events.db` does."""
    os.truncate(store, 0)


def cut_off(store: Path) -> None:
    os.truncate(store, store.stat().st_size - 4096)


def scribble(store: Path) -> None:
    with store.open("r+b") as file:
        file.write(b"\0" * 512)


def empty_the_log(store: Path) -> None:
    os.truncate(store.with_name("events.db-wal"), 0)


CHANGES: list[Callable[[Path], None]] = [
    delete,
    move,
    replace_with_a_copy,
    delete_the_log,
    copy_over,
    empty,
    cut_off,
    scribble,
    empty_the_log,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_nothing_is_acknowledged_into_a_file_that_is_not_at_its_path(
    store_path: Path, change: Callable[[Path], None]
) -> None:
    receiver = Receiver(store_path, expect_errors=True).start()
    try:
        receiver.post_many(10)
        assert receiver.count() == 10
        # 1. Somebody changes the files. Within a second every POST is refused.
        change(store_path)
        wait_for(lambda: receiver.post(EVENT).status == 503, "refusal", 2)
        refused = receiver.post(EVENT)
        assert (refused.status, refused.json["stored"]) == (503, "no")
        # 2. It says so: to who asks, and in one line of its log.
        ready = receiver.get("/ready")
        assert ready.status == 503
        wait_for(lambda: "while this receiver has it open" in receiver.log, "a line in its log")
        assert receiver.log.count("CRITICAL") == 1
        left = {file: file.stat().st_size for file in files(store_path)}
    finally:
        receiver.stop()
    # Result: the stop has touched nothing of what is there now.
    assert {file: file.stat().st_size for file in files(store_path)} == left


def test_idle_it_notices_too(store_path: Path) -> None:
    with Receiver(store_path, expect_errors=True) as receiver:
        delete(store_path)
        wait_for(lambda: not receiver.ready(), "not ready", 5)


def test_the_same_files_back_and_it_goes_on(store_path: Path) -> None:
    with Receiver(store_path, expect_errors=True) as receiver:
        receiver.post_many(10)
        moved = [(file, file.with_name(f"moved-{file.name}")) for file in files(store_path)]
        for file, away in moved:
            file.rename(away)
        wait_for(lambda: receiver.post(EVENT).status == 503, "refusal", 2)
        for file, away in moved:
            away.rename(file)
        wait_for(receiver.ready, "ready again", 5)
        before = receiver.count()
        receiver.post_many(5)
        assert receiver.count() == before + 5 == rows(store_path)


def test_no_reader_makes_a_file(store_path: Path) -> None:
    with Receiver(store_path, expect_errors=True) as receiver:
        delete(store_path)
        for _ in range(3):
            receiver.get("/events/count")
        assert not store_path.exists()


def crash(store: Path, events: int = 50) -> None:
    """Leave a store as a crash does: what was acknowledged is in the log."""
    receiver = Receiver(store).start()
    receiver.post_many(events)
    receiver.kill()
    assert store.with_name("events.db-wal").stat().st_size


def refusal(store: Path, command: Sequence[str] = ()) -> str:
    """What a receiver says that must not start on this store."""
    receiver = Receiver(store, command=command)
    assert receiver.launch().wait() == EXIT_START_FAILED
    assert "Traceback" not in receiver.log
    return receiver.log


def test_a_log_without_its_file_is_kept(store_path: Path) -> None:
    crash(store_path)
    away = store_path.with_name("away.db")
    store_path.rename(away)
    # 1. No start makes SQLite delete it.
    assert "holds events that were acknowledged" in refusal(store_path)
    store_path.touch()
    assert "is empty. Put that file back" in refusal(store_path)
    # 2. The advice, word by word: put the file back beside it.
    away.rename(store_path)
    with Receiver(store_path) as receiver:
        assert receiver.count() == 50


def test_a_log_of_another_file_is_not_applied(store_path: Path) -> None:
    crash(store_path)
    other = store_path.with_name("other.db")
    with Receiver(other) as receiver:
        receiver.post_many(3)
    other.rename(store_path)
    assert "belongs to another file" in refusal(store_path)
    # The advice: the log goes away, and the copy is what is there.
    for suffix in ("-wal", "-shm"):
        store_path.with_name(f"events.db{suffix}").rename(store_path.with_name(f"old{suffix}"))
    with Receiver(store_path) as receiver:
        assert receiver.count() == 3


def test_a_log_of_a_later_state_is_not_applied(store_path: Path) -> None:
    """After a crash somebody copies an older state over the store, beside its log."""
    with Receiver(store_path) as receiver:
        receiver.post_many(20)
    copy = store_path.with_name("copy.db")
    shutil.copyfile(store_path, copy)
    with Receiver(store_path) as receiver:
        receiver.post_many(1000)
    crash(store_path)
    shutil.copyfile(copy, store_path)
    said = refusal(store_path)
    assert "was overwritten by an older copy" in said
    # The advice: the log goes away, and the copy is what is there.
    for suffix in ("-wal", "-shm"):
        store_path.with_name(f"events.db{suffix}").rename(store_path.with_name(f"old{suffix}"))
    with Receiver(store_path) as receiver:
        assert receiver.count() == 20


def test_what_shells_do_to_a_store_is_no_alarm(store_path: Path) -> None:
    """They copy the log in every way there is, delete, make room, read for long, and touch."""
    with Receiver(store_path) as receiver, closing(sqlite3.connect(store_path)) as shell:
        shell.execute("PRAGMA busy_timeout = 20000")
        gone = 0
        for turn in range(12):
            receiver.post_many(300)
            for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
                shell.execute(f"PRAGMA wal_checkpoint({mode})")
                receiver.post_many(5)
            with shell:
                ids = [row[0] for row in shell.execute("SELECT max(id) FROM events")]
                shell.execute("DELETE FROM events WHERE id = ?", ids)
                gone += 1
            shell.execute("VACUUM")
            store_path.touch()
            reading = shell.execute("SELECT id FROM events")
            reading.fetchone()
            assert receiver.post(EVENT).status == 200, turn
            reading.close()
            time.sleep(2 * LOOK_SECONDS)
            assert receiver.post(EVENT).status == 200, turn
        assert receiver.ready()
        assert rows(store_path) == 12 * (300 + 20 + 2 - 1)
        assert "CRITICAL" not in receiver.log
    assert gone == 12


def test_damage_gets_the_advice_for_damage_with_all_files(store_path: Path) -> None:
    with Receiver(store_path) as receiver:
        receiver.post_many(1000)
    with store_path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    said = refusal(store_path)
    assert "Restore it from a copy" in said
    assert "events.db, events.db-wal, events.db-shm" in said


def test_a_folder_is_called_a_folder(store_path: Path) -> None:
    store_path.mkdir()
    said = refusal(store_path)
    assert "is a folder: name a file in WEBHOOK_STORE" in said
    assert "Restore" not in said


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_file_that_can_not_be_written_stops_the_start(store_path: Path, mode: int) -> None:
    """Found out by a write at the start, not by the first event."""
    with Receiver(store_path) as receiver:
        receiver.post_many(1)
    for file in files(store_path):
        if not file.name.endswith(".lock"):
            file.chmod(mode)
    said = refusal(store_path, without_power() if os.geteuid() == 0 else ())
    assert f"mode {mode:o}" in said
    assert "Nothing is wrong with the file" in said
    assert "Restore" not in said


def without_power() -> Sequence[str]:
    """What runs a command as root of no consequence: owner and mode hold for it, too."""
    command = ("unshare", "--user")
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespace can be made here: {tried.stderr.decode().strip()}")
    return command
