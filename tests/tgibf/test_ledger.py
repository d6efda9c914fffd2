"""The ledger: one line for every event that was started."""

import asyncio
import signal
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.tgibf.generator import COMMAND, finish, start, tgibf
from tests.tgibf.peer import PROBLEM, Call, Peer, acknowledge, problem
from tgibf.ledger import LedgerError, read_ledger
from tgibf.outcome import Outcome

BURST = ("--burst-size=30", "--bursts=1", "--pause=0")


async def of_every_kind(call: Call) -> None:
    """Acknowledge a third, refuse a third, and leave a third in the dark."""
    if call.number % 3 == 0:
        await acknowledge(call)
    elif call.number % 3 == 1:
        await call.answer(503, problem("no"), PROBLEM)
        call.hang_up()
    else:
        call.reset()


@pytest.mark.parametrize("batch", [1, 10])
def test_every_event_has_one_line_with_its_outcome(tmp_path: Path, batch: int) -> None:
    path = tmp_path / "ledger"
    with Peer(of_every_kind) as peer:
        run = tgibf(peer.url, *BURST, f"--batch={batch}", f"--ledger={path}")

    by_rest = {0: Outcome.ACKED, 1: Outcome.REFUSED, 2: Outcome.UNKNOWN}
    expected = {
        event["id"]: by_rest[call.number % 3] for call in peer.calls for event in call.events
    }
    assert run.code == 1
    assert len(expected) == 30
    begins, *lines, ends = path.read_text().splitlines()
    assert len(lines) == 30
    assert begins.startswith("# run ")
    assert ends == begins.replace("begins", "is whole")
    assert read_ledger(path).outcomes == expected


def test_a_ledger_with_lines_is_not_overwritten_but_may_be_added_to(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Peer() as peer:
        assert tgibf(peer.url, *BURST, f"--ledger={path}").code == 0
        first = path.read_text()

        refused = tgibf(peer.url, *BURST, f"--ledger={path}")
        assert refused.code == 2
        assert "--append-ledger" in refused.err
        assert path.read_text() == first

        assert tgibf(peer.url, *BURST, f"--ledger={path}", "--append-ledger").code == 0
    assert path.read_text().startswith(first)
    assert len(read_ledger(path).outcomes) == 60


def test_a_torn_ledger_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("a-1 acked\na-2 ac")

    run = tgibf("http://127.0.0.1:1", f"--ledger={path}", "--append-ledger")

    assert run.code == 2
    assert "torn" in run.err


def test_lines_are_on_disk_within_a_second_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    answered = asyncio.Event()

    async def answer_the_first_ten(call: Call) -> None:
        if call.number > 10:
            await answered.wait()
        await acknowledge(call)

    with Peer(answer_the_first_ten) as peer:
        process = start(peer.url, *BURST, f"--ledger={path}", "--quiet")
        peer.wait_for_calls(30)
        wait_for(lambda: len(path.read_text().splitlines()) >= 10, "ten lines on disk")
        assert process.poll() is None
        peer.call_soon(answered.set)
        assert finish(process).code == 0
    assert len(read_ledger(path).outcomes) == 30


def test_a_second_signal_settles_what_is_in_flight_as_unknown(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def stall(_call: Call) -> None:
        await asyncio.Event().wait()

    with Peer(stall) as peer:
        process = start(peer.url, *BURST, f"--ledger={path}", "--json")
        peer.wait_for_calls(30)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(Exception, match="timed out"):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        run = finish(process)

    assert run.code == 1
    assert run.summary["errors"] == {"interrupted": 30}
    assert list(read_ledger(path).outcomes.values()) == [Outcome.UNKNOWN] * 30


@pytest.mark.parametrize("option", ["--ledger", "--series"])
def test_a_full_disk_ends_the_run_with_its_summary(tmp_path: Path, option: str) -> None:
    """By a limit on the size of files, which no root may pass."""
    path = tmp_path / "file"
    with Peer() as peer:
        run = tgibf(
            *(peer.url, "--rate=200", "--seconds=60", f"{option}={path}", "--json", "--quiet"),
            command=("prlimit", "--fsize=1500", "--", *COMMAND),
        )

    assert run.code == 1
    assert run.summary["acked"] == run.summary["sent"] == len(peer.calls) > 0
    (warning,) = (one for one in run.summary["warnings"] if "incomplete" in one)
    assert str(path) in warning
    assert "File too large" in warning


def test_a_ledger_knows_whether_it_is_whole(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with Peer() as peer:
        assert tgibf(peer.url, *BURST, f"--ledger={whole}").code == 0
        assert read_ledger(whole).incomplete == frozenset()
        # 1. Killed in the middle, a run is known not to be whole.
        process = start(peer.url, "--rate=100", f"--ledger={cut}")
        wait_for(lambda: cut.exists() and " acked\n" in cut.read_text(), "outcomes on disk")
        process.kill()
        process.communicate()
        assert read_ledger(cut).incomplete == read_ledger(cut).outcomes.runs
    # 2. Another one in the same file is whole beside it.
    cut.write_text(cut.read_text() + whole.read_text())
    assert len(read_ledger(cut).incomplete) == 1
    assert len(read_ledger(cut).outcomes.runs) == 2


def test_a_torn_last_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("a-0 acked\na-1 refused\na-2 unk")

    contents = read_ledger(path)

    assert contents.outcomes == {"a-0": Outcome.ACKED, "a-1": Outcome.REFUSED}
    assert contents.torn == "a-2 unk"


def test_two_ledgers_may_be_read_as_one(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a-0 acked\n")
    other.write_text("b-0 unknown\n")

    outcomes = read_ledger(one).outcomes
    read_ledger(other, outcomes)

    assert outcomes == {"a-0": Outcome.ACKED, "b-0": Outcome.UNKNOWN}
    assert outcomes.runs == {"a", "b"}
    with pytest.raises(LedgerError, match="is there twice"):
        read_ledger(one, outcomes)


def test_an_empty_ledger_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.touch()

    contents = read_ledger(path)

    assert contents.outcomes == {}
    assert contents.torn is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a-1 maybe", "acked, refused, unknown"),
        ("a-1", "acked, refused, unknown"),
        (" acked", "acked, refused, unknown"),
        ("a-1  acked", "acked, refused, unknown"),
        ("", "acked, refused, unknown"),
        ("a-0 acked", "is there twice"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "ledger"
    path.write_text(f"a-0 acked\n{line}\na-9 acked\n")

    with pytest.raises(LedgerError, match=rf"line 2: .*{reason}"):
        read_ledger(path)
