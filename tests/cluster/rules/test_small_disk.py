"""A folder gets a small disk, which is filled and freed, and its content comes back."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.linux import small_disk


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    if reason := small_disk.missing():
        pytest.skip(reason)
    folder = tmp_path / "lib"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "kept").write_text("kept")
    yield folder
    small_disk.remove(folder)


def test_it_is_filled_and_freed_and_nothing_is_lost(folder: Path) -> None:
    small_disk.make(folder)
    small_disk.make(folder)  # as after a drill that was interrupted
    small_disk.fill(folder)
    with pytest.raises(OSError, match="No space left") as refused:
        (folder / "more").write_bytes(bytes(8192))
    assert refused.value.errno == errno.ENOSPC
    small_disk.free(folder)
    (folder / "inner" / "more").write_text("more")
    small_disk.remove(folder)
    assert not folder.is_mount()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["lib"]
    assert {path.name: path.read_text() for path in (folder / "inner").iterdir()} == {
        "kept": "kept",
        "more": "more",
    }
