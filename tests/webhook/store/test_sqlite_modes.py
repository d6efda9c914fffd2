"""Who can read the files of a store: events hold phone numbers."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.copies import back_up, restore
from tests.support.checked_receiver import Receiver
from tests.support.rows import rows
from webhook.store.sqlite.files import LOCK, SHM, WAL, beside


@pytest.fixture(autouse=True)
def _generous_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_read_a_new_store(store_path: Path) -> None:
    with Receiver(store_path) as receiver:
        assert receiver.post().status == 200
        for suffix in ("", WAL, SHM, LOCK):
            assert mode(beside(store_path, suffix)) == 0o600, suffix


def test_copies_are_as_private(store_path: Path, tmp_path: Path) -> None:
    with Receiver(store_path) as receiver:
        assert receiver.post().status == 200
        back_up(store_path, tmp_path / "copy.db")
    assert mode(tmp_path / "copy.db") == 0o600
    (tmp_path / "copy.db").chmod(0o644)
    restored = tmp_path / "restored.db"
    restore(tmp_path / "copy.db", restored)
    assert rows(restored) == 1
    assert mode(restored) == 0o600
    assert mode(beside(restored, LOCK)) == 0o600


@pytest.mark.parametrize(("given", "told"), [(0o644, True), (0o660, False)])
def test_a_store_that_others_can_read_is_left_so_and_its_owner_told(
    store_path: Path, given: int, told: bool
) -> None:
    """Somebody may have given it away on purpose."""
    store_path.touch()
    store_path.chmod(given)
    with Receiver(store_path) as receiver:
        assert receiver.post().status == 200
        assert mode(store_path) == mode(beside(store_path, WAL)) == given
        assert ("other users of this machine can read" in receiver.log) == told
