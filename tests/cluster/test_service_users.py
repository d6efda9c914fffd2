"""Services of a node run as users of their own: what init makes of a unit, and who reads what."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cluster.linux.namespace import missing
from cluster.nodes.namespaces import UNITS
from node.give_secrets import give
from node.init import ACCOUNTS, hand_over
from tools.root import ROOT

USER = ACCOUNTS["consul"]
UNIT = """
[Service]
User=consul
Group=consul
StateDirectory=consul
StateDirectoryMode=0700
UMask=0077
Environment=GIVEN=this
ExecStartPre=+{folder}/before
ExecStart={folder}/program
RestartSec=0
LimitNOFILE=65536
LimitMEMLOCK=infinity
NoNewPrivileges=yes
"""
BEFORE = """#!/bin/sh
echo "before $(id -u)"
"""
PROGRAM = """#!/bin/sh
echo "uid $(id -u) gid $(id -g) groups $(id -G)"
grep -E '^(CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status
grep -E '^Max (locked|open)' /proc/self/limits
echo "home $HOME given $GIVEN umask $(umask)"
touch "$HOME/mine" && echo made a file
cat "$HOME/theirs"
echo end
exec sleep 60
"""
INSIDE = """
mount --bind {folder}/log /var/log && mount --bind {folder}/lib /var/lib && exec {init} {unit}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own are closed to them."""
    if reason := missing():
        pytest.skip(reason)
    with TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        yield Path(parent)


def test_a_unit_s_program_is_no_more_than_its_user(folder: Path) -> None:
    """1. A node starts whose service was root's before.

    Result: its program is the user, with the unit's limits and nothing of root's; what runs before
    it is root; what root had left in its folder is its own.
    """
    for name in ("log", "lib", "lib/consul"):
        (folder / name).mkdir()
    (folder / "lib" / "consul" / "theirs").write_text("from before\n")
    (folder / "lib" / "consul" / "theirs").chmod(0o600)
    for name, text in (("before", BEFORE), ("program", PROGRAM)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    unit = folder / "probe.service"
    unit.write_text(UNIT.format(folder=folder))
    script = INSIDE.format(folder=folder, init=ROOT / "node" / "bin" / "init", unit=unit)
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen([*apart, "sh", "-c", script]) as node:
        try:
            said = told(folder / "log" / "probe.log", node)
        finally:
            node.kill()
    assert "before 0" in said
    assert f"uid {USER} gid {USER} groups {USER}" in said
    for name in ("CapPrm", "CapEff", "CapAmb"):
        assert f"{name}:\t{0:016x}" in said
    assert "NoNewPrivs:\t1" in said
    # In a container none can be raised: it is the most that there is.
    for name, number, wanted in (
        ("locked memory", resource.RLIMIT_MEMLOCK, "unlimited"),
        ("open files", resource.RLIMIT_NOFILE, "65536"),
    ):
        soft, hard = re.findall(rf"Max {name} +(\w+) +(\w+)", said)[0]
        assert soft == hard
        assert soft in {wanted, str(resource.getrlimit(number)[1])}
    assert "home /var/lib/consul given this umask 0077" in said
    assert "made a file" in said
    assert "from before" in said
    made = folder / "lib" / "consul" / "mine"
    assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (USER, 0o600)
    assert made.parent.stat().st_mode & 0o777 == 0o700


def told(log: Path, node: "subprocess.Popen[bytes]") -> str:
    """What the log says once it has come to its end."""
    follow = [
        "timeout",
        "30",
        "tail",
        "--follow=name",
        "--retry",
        "--lines=+1",
        f"--pid={node.pid}",
    ]
    lines = []
    with subprocess.Popen(
        [*follow, str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as tail:
        for line in tail.stdout or ():
            lines.append(line)
            if line == "end\n":
                tail.kill()
                break
        else:
            pytest.fail(f"it came to no end:\n{''.join(lines)}")
    return "".join(lines)


def test_what_was_roots_is_handed_over_once_and_all_of_it(folder: Path) -> None:
    """1. It is cut off half-way. 2. It is done again. 3. Root leaves a file. 4. Again.

    Result: all is the user's after 2, but for what a link leads to; 4 looks at nothing.
    """
    outside, state = folder / "outside", folder / "lib"
    outside.mkdir()
    (state / "data" / "deep").mkdir(parents=True)
    (state / "data" / "deep" / "file").touch()
    (state / "data" / "linked").hardlink_to(state / "data" / "deep" / "file")
    (state / "away").symlink_to(outside)
    (outside / "file").touch()
    os.chown(state / "data", USER, USER)
    hand_over(state, USER)
    assert {path.lstat().st_uid for path in (state, *state.rglob("*"))} == {USER}
    assert {path.stat().st_uid for path in (outside, outside / "file")} == {0}
    (state / "data" / "later").touch()
    hand_over(state, USER)
    assert (state / "data" / "later").stat().st_uid == 0


def test_a_folder_that_is_handed_over_is_the_users_last(folder: Path) -> None:
    """Whatever is in it, so that one that is the user's has been handed over whole."""
    state = folder / "lib"
    (state / "data").mkdir(parents=True)
    code = "import os; from node.init import Path, hand_over\n"
    code += f"""
chown = os.chown
def told(path, *rest, **more):
    chown(path, *rest, **more)
    print(path)
os.chown = told
hand_over(Path({str(state)!r}), {USER})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["data", str(state)]


def test_every_unit_s_user_has_a_number_that_nobody_else_has() -> None:
    users = set()
    for unit in UNITS:
        users |= {
            *re.findall(r"^User=(\w+)$", (ROOT / f"{unit}.service").read_text(), re.MULTILINE)
        }
    assert users == {*ACCOUNTS}
    assert len({*ACCOUNTS.values()}) == len(ACCOUNTS)


def test_an_agent_gets_a_copy_of_its_own_secrets(folder: Path) -> None:
    given, own = folder / "access" / "consul", folder / "consul"
    given.mkdir(parents=True)
    (given / "closed.json").write_text(f'{{"ca_file": "{given}/ca.pem"}}')
    (given / "ca.pem").write_text("one")
    (given / "cqlshrc").write_text("for people")
    give(given, own, USER)
    assert {path.name for path in own.iterdir()} == {"closed.json", "ca.pem"}
    assert (own / "closed.json").read_text() == f'{{"ca_file": "{own}/ca.pem"}}'
    kept = (own / "closed.json").stat()
    (given / "ca.pem").write_text("another")
    give(given, own, USER)
    assert (own / "ca.pem").read_text() == "another"
    assert (own / "closed.json").stat() == kept  # Cassandra reads again what has another date
    for path, mode in ((own, 0o750), (own / "ca.pem", 0o640)):
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, USER, mode)
    give(given, own, USER + 1)
    assert {path.stat().st_gid for path in (own, *own.iterdir())} == {USER + 1}


def test_an_agent_of_an_open_cluster_has_an_empty_folder(folder: Path) -> None:
    own = folder / "consul"
    given = folder / "access"
    given.mkdir()
    (given / "ca.pem").touch()
    give(given, own, USER)
    (given / "ca.pem").unlink()
    give(given, own, USER)
    assert list(own.iterdir()) == []
    give(folder / "never", own, USER)
    assert list(own.iterdir()) == []
