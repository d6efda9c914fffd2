"""Ledger and series in others' hands: deleted, moved, replaced, cut while a run goes on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.scripts import figure, script
from tests.tgibf.generator import finish, start
from tests.tgibf.peer import Peer
from tgibf.ledger import read_ledger

STEADY = ("--rate=200", "--seconds=60", "--json")
GONE = "is no longer at its path"


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("a-0 acked\n")
    other.replace(path)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("options", [("--quiet", "--ledger"), ("--series",)])
@pytest.mark.parametrize(
    ("harm", "words"),
    [(delete, GONE), (move, GONE), (replace, GONE), (empty, "is incomplete: somebody has cut it")],
)
def test_a_file_that_is_taken_away_ends_the_run_with_its_summary(
    tmp_path: Path, options: tuple[str, ...], harm: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "file"
    with Peer() as peer:
        process = start(peer.url, *STEADY, *options, str(path))
        wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") > 1, "lines")
        harm(path)
        run = finish(process)

    assert run.code == 1
    assert run.summary["acked"] == run.summary["sent"] == len(peer.calls) > 0
    (warning,) = (one for one in run.summary["warnings"] if str(path) in one)
    assert words in warning
    assert [line for line in run.err.splitlines() if str(path) in line] == [f"warning: {warning}"]


def test_a_ledger_that_was_moved_is_whole_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Peer() as peer:
        process = start(peer.url, *STEADY, f"--ledger={path}")
        wait_for(lambda: path.exists() and " acked\n" in path.read_text(), "outcomes")
        move(path)
        sent = finish(process).summary["sent"]

    contents = read_ledger(tmp_path / "moved")
    assert len(contents.outcomes) == sent
    assert contents.incomplete == frozenset()


def test_no_verdict_blames_the_receiver_for_a_ledger_that_was_cut(
    receiver: Receiver, store_path: Path, tmp_path: Path
) -> None:
    path, store = tmp_path / "ledger", f"sqlite:///{store_path}"
    process = start(receiver.url, *STEADY, f"--ledger={path}")
    wait_for(lambda: path.exists() and " acked\n" in path.read_text(), "outcomes")
    empty(path)
    assert finish(process).code == 1

    incomplete = script("verify", path, store)
    assert incomplete.returncode == 3, incomplete.stdout + incomplete.stderr
    assert figure(incomplete.stdout, "unexpected") == 0
    # 2. Nor for one that names no run at all.
    empty(path)
    refused = script("verify", path, store)
    assert refused.returncode == 2
    assert "names no run" in refused.stderr


def test_a_ledger_that_has_lost_its_beginning_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("a-7 acked\n# run a is whole\n")
    assert read_ledger(path).incomplete == {"a"}


def test_a_ledger_may_be_no_file() -> None:
    with Peer() as peer:
        process = start(peer.url, "--burst-size=3", "--bursts=1", "--ledger=/dev/null", "--json")
        run = finish(process)
    assert run.code == 0
    assert run.summary["warnings"] == []


@pytest.mark.parametrize("option", ["--ledger", "--series"])
def test_only_its_owner_can_read_it(tmp_path: Path, option: str) -> None:
    path, before = tmp_path / "file", os.umask(0)
    try:
        with Peer() as peer:
            finish(start(peer.url, "--burst-size=1", "--bursts=1", f"{option}={path}"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
