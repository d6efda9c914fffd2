"""scripts/store: copies of a running store, and what is put in its place."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.generator import Generator
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.rows import rows
from tests.support.scripts import SCRIPTS, as_any_user, script


def test_a_copy_of_a_running_store_under_load_can_be_restored(
    store_path: Path, tmp_path: Path
) -> None:
    """1. Load, and a copy. 2. A crash. 3. The copy in the store's place. 4. All back again."""
    copy = tmp_path / "copy.db"
    receiver = Receiver(store_path).start()
    with Generator([receiver.url], tmp_path / "ledger", "--rate", "200", "--keep-alive") as load:
        load.acknowledge(400)
        before = load.acknowledged()
        made = script("store", "backup", f"sqlite:///{store_path}", copy)
        assert made.returncode == 0, made.stderr
        load.acknowledge(200)
        refused = script("store", "restore", copy, store_path)
        assert refused.returncode == 1
        assert f"process {receiver.pid}); stop it first" in refused.stderr
        receiver.kill()
        load.finish(interrupt=True)
    said = re.match(r"(\d+) events in .*copy.db, checked, in \d", made.stdout)
    assert said is not None, made.stdout
    assert int(said[1]) == rows(copy) >= before

    done = script("store", "restore", copy, store_path)
    assert done.returncode == 0, done.stderr
    with Receiver(store_path) as restored:
        assert restored.count() == rows(copy)
        restored.post_many(10)
    assert rows(store_path) == rows(copy) + 10
    # What there was is whole, with what was in the log only.
    aside = Path(re.findall(r"the old file is now (\S+)", done.stderr)[0])
    with Receiver(aside) as former:
        assert former.count() >= before + 200


def test_no_backup_deletes_a_log_or_applies_that_of_another_file(
    store_path: Path, tmp_path: Path
) -> None:
    """After a crash, with the file moved away, or another one in its place."""
    receiver = Receiver(store_path).start()
    receiver.post_many(50)
    receiver.kill()
    log = store_path.with_name("events.db-wal")
    left = log.read_bytes()
    store_path.rename(tmp_path / "away.db")
    with Receiver(tmp_path / "other.db") as other:
        other.post_many(1)
    for replace, words in ((False, "events that were acknowledged"), (True, "another file")):
        if replace:
            (tmp_path / "other.db").rename(store_path)
        refused = script("store", "backup", store_path, tmp_path / "copy.db")
        assert refused.returncode == 1
        assert words in refused.stderr
        assert log.read_bytes() == left


def test_no_backup_applies_a_log_to_an_older_copy(store_path: Path, tmp_path: Path) -> None:
    """After a crash somebody does `cp` over the store; `restore` then sorts it out."""
    with Receiver(store_path) as receiver:
        receiver.post_many(20)
    older = tmp_path / "older.db"
    made = script("store", "backup", store_path, older)
    assert made.returncode == 0, made.stderr
    receiver = Receiver(store_path).start()
    receiver.post_many(1000)
    receiver.kill()
    shutil.copyfile(older, store_path)
    log = store_path.with_name("events.db-wal")
    left = log.read_bytes()
    refused = script("store", "backup", store_path, tmp_path / "copy.db")
    assert refused.returncode == 1
    assert "was overwritten by an older copy" in refused.stderr
    assert log.read_bytes() == left
    assert not (tmp_path / "copy.db").exists()
    done = script("store", "restore", older, store_path)
    assert done.returncode == 0, done.stderr
    with Receiver(store_path) as restored:
        assert restored.count() == 20
        restored.post_many(1)


def test_a_store_that_was_overwritten_while_it_ran_is_restored(
    store_path: Path, tmp_path: Path
) -> None:
    """The way back of docs/stores.md: 1. Overwritten. 2. Stop. 3. `restore`. 4. Start."""
    copy = tmp_path / "copy.db"
    receiver = Receiver(store_path, expect_errors=True).start()
    try:
        receiver.post_many(1000)
        made = script("store", "backup", store_path, copy)
        assert made.returncode == 0, made.stderr
        receiver.post_many(1000)
        shutil.copyfile(copy, store_path)
        wait_for(lambda: receiver.post().status == 503, "refusal", 2)
    finally:
        receiver.stop()
    done = script("store", "restore", copy, store_path)
    assert done.returncode == 0, done.stderr
    with Receiver(store_path) as restored:
        assert restored.count() == rows(store_path) == 1000
        restored.post_many(1)


def test_an_emptied_store_begins_anew(store_path: Path) -> None:
    with Receiver(store_path) as receiver:
        receiver.post_many(10)
        assert script("store", "empty", store_path).returncode == 1
    assert script("store", "empty", store_path).returncode == 0
    with Receiver(store_path) as receiver:
        assert receiver.count() == 0
        receiver.post_many(1)
        assert receiver.count() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backup", "{0}/none.db", "{0}/copy.db"], "there is no file"),
        (["backup", "{0}/text", "{0}/copy.db"], "not a database"),
        (["backup", "{0}/text", "{0}/text"], "exists already"),
        (["restore", "{0}/text", "{0}/events.db"], "not a database"),
        (["restore", "{0}/none.db", "{0}/events.db"], "there is no file"),
    ],
)
def test_what_can_not_be_is_explained_and_nothing_is_made(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    ended = script("store", *(argument.format(tmp_path) for argument in arguments))
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backup", "{0}/real.db", "{0}/text/copy.db"], "Not a directory"),
        (["backup", "{0}/real.db", "{0}/none/copy.db"], "No such file"),
        (["backup", "{0}/real.db", "{0}/{1}"], "File name too long"),
        (["backup", "{0}/{1}", "{0}/copy.db"], "File name too long"),
        (["backup", "{0}/real.db", "{0}/q"], "Is a directory: '{0}/q.part'"),
        (["backup", "{0}/real.db", "{0}/\udcff"], "surrogates"),
        (["backup", "/", "{0}/copy.db"], "could not be copied"),
        (["restore", "{0}/real.db", "{0}/folder"], "is a folder"),
        (["restore", "{0}/real.db", "{0}/text/events.db"], "Not a directory"),
        (["restore", "{0}/{1}", "{0}/events.db"], "File name too long"),
        (["empty", "{0}/folder"], "is a folder"),
        (["empty", "/"], "is a folder"),
        (["empty", "{0}/text/events.db"], "Not a directory"),
        (["empty", "{0}/{1}"], "File name too long"),
    ],
)
def test_an_odd_path_is_one_line_and_nothing_is_made(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    with Receiver(tmp_path / "real.db"):
        pass
    (tmp_path / "text").write_text("no folder")
    (tmp_path / "folder").mkdir()
    (tmp_path / "q.part").mkdir()
    before = sorted(tmp_path.iterdir())
    ended = script("store", *(argument.format(tmp_path, "x" * 300) for argument in arguments))
    assert ended.returncode == 1, ended.stdout
    assert words.format(tmp_path) in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("verb", ["backup", "restore", "empty"])
def test_a_folder_that_may_not_be_read_is_one_line(verb: str, tmp_path: Path) -> None:
    folder = tmp_path / "private"
    with Receiver(tmp_path / "real.db"):
        pass
    folder.mkdir(0o000)
    paths: dict[str, list[str | Path]] = {
        "backup": [folder / "events.db", tmp_path / "copy.db"],
        "restore": [tmp_path / "real.db", folder / "events.db"],
        "empty": [folder / "events.db"],
    }
    command = [*as_any_user(), SCRIPTS / "store", verb, *paths[verb]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    folder.chmod(0o700)
    assert ended.returncode == 1, ended.stdout
    assert "Permission denied" in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr


def test_where_nothing_is_nothing_is_emptied(tmp_path: Path) -> None:
    done = script("store", "empty", tmp_path / "events.db")
    assert done.returncode == 0, done.stderr
    assert "there was nothing at" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_store_whose_name_is_no_text_can_be_emptied(tmp_path: Path) -> None:
    (tmp_path / "\udcff").touch()
    done = script("store", "empty", tmp_path / "\udcff")
    assert done.returncode == 0, done.stderr
    assert "is in order" in done.stdout
