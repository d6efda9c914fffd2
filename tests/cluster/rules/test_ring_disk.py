"""A node of the ring waits for room on its disk."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.linux import small_disk
from cluster.ring.disk import await_room
from harness.waiting import wait_for


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    if reason := small_disk.missing():
        pytest.skip(reason)
    folder = tmp_path / "lib"
    (folder / "cassandra").mkdir(parents=True)
    small_disk.make(folder)
    yield folder / "cassandra"
    small_disk.remove(folder)


def test_a_full_disk_is_waited_for_and_said_once(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_disk.fill(storage.parent)
    said = ""

    def says(what: str) -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return what in said

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(await_room, storage)
        wait_for(lambda: says("waiting until there is room"), "it says so")
        assert not waiting.done()
        small_disk.free(storage.parent)
        waiting.result(30)
    assert says("there is room")
    assert said.count("waiting") == 1


def test_with_room_nothing_is_said(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await_room(storage)
    assert capsys.readouterr().err == ""
