"""What the benchmarks compare: our receiver and its peers, fetched or built first."""

import argparse
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from sqlite3 import connect

from bench.peers.go_group import bolt_events
from tools.root import ROOT
from tools.say import say

PEERS = Path(__file__).with_name("peers")


class NotHere(Exception):  # noqa: N818 - no error: the others are measured without it
    """A peer is not available; the message says why."""


def sqlite_events(file: Path) -> int:
    """How many events are in a SQLite file."""
    with closing(connect(file)) as db:
        return int(db.execute("SELECT count(*) FROM events").fetchone()[0])


@dataclass(frozen=True, slots=True)
class Subject:
    """One of those compared: `python -m module` runs it, once `provide` has returned."""

    name: str
    module: str
    provide: Callable[[], None] = lambda: None
    """Raises NotHere."""
    events: Callable[[Path], int] = sqlite_events
    """How many are in its file, once it has ended."""
    groups: bool = False
    """On a ring: whether it has tables such as the receiver's, with a row for each group."""
    checkout: Path = ROOT
    """The repository that the module is of."""


def add_choice(parser: argparse.ArgumentParser, subjects: Sequence[Subject]) -> None:
    """Have the parser take which of the subjects are compared, and with which checkout."""
    peers = ", ".join(f'"{one.name}"' for one in subjects if one != OURS)
    parser.add_argument(
        "--peer",
        nargs="*",
        metavar="NAME",
        help=f"compare with those only whose names begin so, in any case: {peers}",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="compare with the receiver of another checkout, too: what a change brought",
    )


def chosen(
    parser: argparse.ArgumentParser, options: argparse.Namespace, subjects: Sequence[Subject]
) -> list[Subject]:
    """Those that were chosen; the first is ours."""
    wanted = [one for one in subjects if _is_wanted(one, options.peer)]
    if options.peer and len(wanted) == 1:
        parser.error(f"no peer begins with {' or '.join(options.peer)}")
    if options.against is None:
        return wanted
    if not (options.against / "webhook" / "__main__.py").exists():
        parser.error(f"--against {options.against}: that is no checkout of this repository")
    before = replace(OURS, name="before", checkout=options.against.resolve())
    return [OURS, before, *wanted[1:]]


def _is_wanted(subject: Subject, peers: Sequence[str] | None) -> bool:
    if peers is None or subject == OURS:
        return True
    return any(subject.name.lower().startswith(peer.lower()) for peer in peers)


def available(subjects: Sequence[Subject]) -> tuple[list[Subject], list[str]]:
    """Those of the subjects that can run here, and a line on each that can't."""
    here, notes = [], []
    for subject in subjects:
        try:
            subject.provide()
        except NotHere as reason:
            notes.append(f"{subject.name} is skipped: {reason}")
        else:
            here.append(subject)
    return here, notes


def provide_express() -> None:
    """Install the packages of its lock file. Raises NotHere."""
    folder = PEERS / "express"
    digest = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".sha256"
    _need("node", "nodejs")
    if stamp.exists() and stamp.read_text() == digest:
        return
    _need("npm", "npm")
    say("installing the pinned packages of bench/peers/express/package-lock.json")
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    stamp.write_text(digest)


def provide_go(name: str) -> None:
    """Build it; Go's own cache knows whether there is anything to do. Raises NotHere."""
    _need("go", "golang-go, if that is 1.24 or later; see go.dev/dl")
    say(f"building bench/peers/{name}")
    _run(["go", "build", "-trimpath", "-buildvcs=false", "-o", ".build/peer", "."], PEERS / name)


def provide_go_group() -> None:
    """Its driver compiles SQLite, which takes a minute the first time. Raises NotHere."""
    _need("gcc", "gcc")
    provide_go("go_group")


def provide_rust() -> None:
    """Two minutes the first time; Cargo's own lock file has the versions. Raises NotHere."""
    _need("cargo", "cargo, if that is 1.85 or later; see rustup.rs")
    _need("gcc", "gcc")
    say("building bench/peers/rust_sqlite")
    _run(
        ["cargo", "build", "--release", "--locked", "--target-dir", ".build"], PEERS / "rust_sqlite"
    )


def _need(command: str, package: str) -> None:
    if shutil.which(command) is None:
        raise NotHere(f"there is no {command} here; on Debian: apt-get install {package}")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise NotHere(f"`{' '.join(command)}` failed in {folder}:\n{said}")


OURS = Subject("receiver", "webhook", groups=True)
ON_A_RING = (
    OURS,
    Subject("FastAPI", "bench.peers.fastapi_cassandra"),
    Subject("Express", "bench.peers.express", provide_express),
    Subject("Go", "bench.peers.go", partial(provide_go, "go")),
    Subject("Go, group commit", "bench.peers.go_group.cassandra", provide_go_group, groups=True),
)
ON_SQLITE = (
    OURS,
    Subject("no store", "bench.no_store"),
    Subject("FastAPI", "bench.peers.fastapi_server"),
    Subject("Go, group commit", "bench.peers.go_group.sqlite", provide_go_group),
    Subject("Go, bbolt", "bench.peers.go_group.bbolt", provide_go_group, bolt_events),
    Subject("Rust, group commit", "bench.peers.rust_sqlite", provide_rust),
)
