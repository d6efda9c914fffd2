"""A store whose files somebody moves, deletes or replaces, while it runs or is down."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness.http import Answer
from harness.waiting import wait_for
from tests.support.checked_receiver import EVENT, Receiver
from tests.support.rows import rows
from webhook.store.sqlite.copying import COPIED_FRAMES
from webhook.store.sqlite.guard import LOOK_SECONDS
from webhook.store.sqlite.index import Index, LogIndex
from webhook.store.sqlite.lock import Note

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


def cut_the_log_off(store: Path) -> None:
    """Its header and one page stay."""
    os.truncate(store.with_name("events.db-wal"), 8192)


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
    cut_the_log_off,
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


@contextmanager
def load(receiver: Receiver, events: int) -> Iterator[Callable[[], list[Answer]]]:
    """POSTs of `events` events one after the other, beside the test; what was answered so far."""
    answers: list[Answer] = []
    ended = threading.Event()

    def post() -> None:
        body = [EVENT] * events
        while not ended.is_set():
            answers.append(receiver.post(body))

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield lambda: list(answers)
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "change", [copy_over, cut_off, scribble, cut_the_log_off], ids=lambda change: change.__name__
)
def test_under_load_no_copying_of_the_log_hides_it(
    store_path: Path, change: Callable[[Path], None]
) -> None:
    """SQLite then writes to the file itself, several times a second."""
    receiver = Receiver(store_path, expect_errors=True).start()
    try:
        for _ in range(100):
            receiver.post_many(1000)
        # 1. Between two POSTs, and far from the next copying and from the last one.
        wait_for(lambda: half_full(receiver, store_path), "a log that is half full", 30, 0)
        change(store_path)
        # 2. The load goes on, with a copying soon: refused, and within a second.
        began = time.monotonic()
        while receiver.post([EVENT] * 1000).status == 200:
            assert time.monotonic() < began + 1
        assert receiver.post(EVENT).json["stored"] == "no"
        wait_for(lambda: "while this receiver has it open" in receiver.log, "a line in its log")
        assert receiver.log.count("CRITICAL") == 1
    finally:
        receiver.stop()


def half_full(receiver: Receiver, store: Path) -> bool:
    """Whether another thousand events have left the log so."""
    receiver.post_many(1000)
    return COPIED_FRAMES / 3 < log_of(store).frames < COPIED_FRAMES * 2 / 3


def log_of(store: Path) -> Index:
    """What its index says."""
    log = LogIndex.of(store)
    index = log.read()
    log.close()
    assert index is not None
    return index


@pytest.mark.parametrize("change", [cut_off, scribble], ids=lambda change: change.__name__)
def test_a_log_that_begins_anew_does_not_hide_it(
    store_path: Path, change: Callable[[Path], None]
) -> None:
    """As it does with the next POST after each copying; that one is too soon for a look before."""
    receiver = Receiver(store_path, expect_errors=True).start()
    try:
        receiver.post_many(1000)
        wait_for(lambda: just_copied(receiver, store_path), "a log that was copied", 30, 0)
        change(store_path)
        answer = receiver.post(EVENT)
        assert answer.status == 503
        if log_of(store_path).frames < COPIED_FRAMES:
            assert answer.json["stored"] == "unknown"  # seen right after, not before
        assert receiver.post(EVENT).json["stored"] == "no"
    finally:
        receiver.stop()


def just_copied(receiver: Receiver, store: Path) -> bool:
    """Whether another thousand events have had the log copied as a whole."""
    receiver.post_many(1000)
    index = log_of(store)
    return index.frames == index.copied


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


SHELL = """
import random, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
chance, end = random.Random(int(sys.argv[2])), time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    match chance.randrange(6):
        case 0:
            db.execute("DELETE FROM probe")
        case 1:
            db.execute("VACUUM")
        case 2:
            reading = db.execute("SELECT id FROM events")
            reading.fetchone()
            time.sleep(chance.random())
            reading.close()
        case _:
            mode = chance.choice(("PASSIVE", "FULL", "RESTART", "TRUNCATE"))
            db.execute(f"PRAGMA wal_checkpoint({mode})")
    time.sleep(chance.random() / 20)
"""


def test_two_shells_at_a_store_under_load_are_no_alarm(store_path: Path) -> None:
    seconds = 10
    with Receiver(store_path) as receiver, load(receiver, 20) as answers:
        wait_for(lambda: len(answers()) > 0, "load")
        shells = [
            subprocess.Popen([sys.executable, "-c", SHELL, store_path, str(seed), str(seconds)])
            for seed in (1, 2)
        ]
        assert [shell.wait(seconds + 60) for shell in shells] == [0, 0]
        assert len(answers()) > 100
        assert {answer.status for answer in answers()} == {200}
        assert "CRITICAL" not in receiver.log
    assert rows(store_path) == 20 * len(answers())


def test_after_a_crash_it_is_noticed_at_once_again(store_path: Path) -> None:
    """The index of a log that was left says nothing of the store before that was copied."""
    crash(store_path)
    receiver = Receiver(store_path, expect_errors=True).start()
    try:
        cut_off(store_path)
        wait_for(lambda: receiver.post(EVENT).status == 503, "refusal", 2)
    finally:
        receiver.stop()


DIES_AT_ITS_START = """
import asyncio, os, pathlib, sys
from webhook.store.sqlite import SqliteStore
from webhook.store.sqlite.reader import Reader
Reader.start = lambda self: os._exit(9)
asyncio.run(SqliteStore(pathlib.Path(sys.argv[1]), 3600).open())
"""


@pytest.mark.parametrize("other", ["an older copy", "a new store"])
def test_a_crash_in_the_start_on_another_file_is_no_reason_to_refuse(
    store_path: Path, other: str
) -> None:
    """What was put there while nothing ran is the store, and the log is its own."""
    with Receiver(store_path) as receiver:
        receiver.post_many(20)
    copy = store_path.with_name("copy.db")
    shutil.copyfile(store_path, copy)
    with Receiver(store_path) as receiver:
        receiver.post_many(1000)
    if other == "an older copy":
        shutil.copyfile(copy, store_path)
    else:
        store_path.unlink()
        store_path.with_name("other").touch()  # so that it gets another inode
    ended = subprocess.run([sys.executable, "-c", DIES_AT_ITS_START, store_path], check=False)
    assert ended.returncode == 9
    assert store_path.with_name("events.db-wal").stat().st_size
    with Receiver(store_path) as receiver:
        assert receiver.count() == (20 if other == "an older copy" else 0)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("", Note()),
        ("123", Note()),
        ("123 inode 7", Note(7)),
        ("123 inode 7\n", Note(7)),
        ("123 inode 7 counter 9", Note(7, 9)),
        ("123 inode 7 counter 9" + " " * 58 + "\n", Note(7, 9)),
        ("123 inode 7 counter 9 mark 01af", Note(7, 9, "01af")),
        ("123 inode 7 counter x", Note()),
    ],
)
def test_notes_of_former_versions_are_read(text: str, note: Note) -> None:
    assert Note.read(text) == note
    assert Note.read(note.text()) == note


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
