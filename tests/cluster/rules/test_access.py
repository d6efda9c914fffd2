"""The secrets of a cluster: who can read them, when they change, and what agents are told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cluster.access.certificates import DAY_SECONDS, days_left, renew
from cluster.access.secrets import Secrets
from cluster.access.settings import AGENTS, choose, close, write
from cluster.layout import ClusterError
from tools.root import ROOT

MOMENTS = [0.05 * n for n in range(0, 12, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "access"


def secrets(folder: Path) -> Secrets | None:
    return Secrets.read(folder / "node")


def test_a_new_cluster_is_closed_and_stays_what_it_is(folder: Path) -> None:
    assert choose(folder, wanted=None, runs=False)
    first = secrets(folder)
    assert first is not None
    assert choose(folder, wanted=None, runs=True)
    assert secrets(folder) == first
    assert secrets(folder) != Secrets.new()


def test_only_its_owner_reads_it(folder: Path) -> None:
    choose(folder, wanted=None, runs=False)
    for path in (folder, *folder.rglob("*")):
        given = "login" in path.parts and path.parent.name != "ca"  # to tasks, by a mount
        modes = (0o755, 0o644) if given else (0o700, 0o600)
        assert path.stat().st_mode & 0o777 == modes[path.is_file()], path


def test_who_may_not_read_them_knows_none() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    with TemporaryDirectory() as parent:  # pytest's own folders are closed to others
        Path(parent).chmod(0o711)
        folder = Path(parent) / "access"
        close(folder)
        imports = "import json, os; from cluster.access.secrets import Path, Secrets"
        code = f"{imports}; os.setuid(65534); print(Secrets.read(Path('{folder}/node')))"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "None\n", done.stderr


def test_an_open_one_that_is_closed_again_has_the_secrets_that_its_data_knows(folder: Path) -> None:
    choose(folder, wanted=None, runs=False)
    before = secrets(folder)
    assert not choose(folder, wanted=False, runs=False)
    assert secrets(folder) is None
    assert all(not list((folder / "node" / name).iterdir()) for name in AGENTS)
    assert (folder / "node" / "login" / "webhook").read_text() == ""
    assert not choose(folder, wanted=None, runs=False)  # it stays open
    assert choose(folder, wanted=True, runs=False)
    assert secrets(folder) == before


@pytest.mark.parametrize("wanted", [True, False])
def test_a_cluster_that_runs_does_not_change_kind(folder: Path, *, wanted: bool) -> None:
    choose(folder, wanted=not wanted, runs=False)
    with pytest.raises(ClusterError, match="down --keep-data"):
        choose(folder, wanted=wanted, runs=True)
    with pytest.raises(ClusterError, match="data: say closed" if wanted else "data: say open"):
        choose(folder, wanted=wanted, runs=True, turn="say {kind}")
    assert (secrets(folder) is None) is wanted


@pytest.mark.parametrize("seconds", MOMENTS, ids=lambda seconds: f"{seconds:.2f} s")
def test_cut_off_at_any_moment_it_is_made_whole_next_time(folder: Path, seconds: float) -> None:
    code = (
        "import sys; from pathlib import Path; from cluster.access.settings import close;"
        " print(flush=True); close(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as making:
        assert making.stdout is not None
        making.stdout.readline()
        time.sleep(seconds)  # a moment of its work, whatever it does then
        making.send_signal(signal.SIGKILL)
    there = secrets(folder)
    close(folder)
    assert secrets(folder) is not None
    assert there in {None, secrets(folder)}
    for name in AGENTS:
        verify(folder, name, name)


def verify(folder: Path, authority: str, agent: str) -> None:
    """The agent's certificate is that authority's. Raises CalledProcessError."""
    node = folder / "node"
    authorities, certificate = node / authority / "ca.pem", node / agent / "agent.pem"
    command = ["openssl", "verify", "-CAfile", str(authorities), str(certificate)]
    subprocess.run(command, check=True, capture_output=True)


def test_no_kind_of_agent_has_a_certificate_that_opens_another(folder: Path) -> None:
    close(folder)
    for authority, agent in permutations(AGENTS, 2):
        with pytest.raises(subprocess.CalledProcessError):
            verify(folder, authority, agent)
    assert not list((folder / "node").rglob("ca-key.pem"))


def test_no_agent_is_told_the_others_keys(folder: Path) -> None:
    close(folder)
    known = secrets(folder)
    assert known is not None
    told = {
        name: "".join(file.read_text() for file in (folder / "node" / name).iterdir())
        for name in (*AGENTS, "login")
    }
    for name in ("consul", "nomad"):
        assert json.loads((folder / "node" / name / "closed.json").read_text())
    assert known.nomad_manager not in "".join(told.values())
    assert known.consul_manager not in told["nomad"] + told["cassandra"] + told["login"]
    assert known.nomad_gossip not in told["consul"]
    assert known.cassandra_manager not in told["consul"] + told["nomad"] + told["login"]
    assert told["login"] == f"webhook {known.cassandra_webhook}\n"


def test_an_older_closed_cluster_gets_what_it_lacks_while_it_does_not_run(folder: Path) -> None:
    close(folder)
    known = secrets(folder)
    assert known is not None
    # 1. As it was before Cassandra asked anybody.
    for part in ("ca", "node"):
        for name in ("cassandra", "login"):
            shutil.rmtree(folder / part / name)
    before = replace(known, cassandra_manager="", cassandra_webhook="")
    before.write(folder / "node")
    # 2. Nodes that run have no such files, and would not understand one that has.
    assert choose(folder, wanted=None, runs=True)
    assert secrets(folder) == before
    assert before.manager_login is None
    # 3. At the next start it is whole, and the rest is what it was.
    assert choose(folder, wanted=None, runs=False)
    after = secrets(folder)
    assert after is not None
    assert after.manager_login is not None
    assert replace(after, cassandra_manager="", cassandra_webhook="") == before
    verify(folder, "cassandra", "cassandra")


def test_a_renewed_certificate_is_another_one_by_the_same_authority(folder: Path) -> None:
    close(folder)
    agent = folder / "node" / "consul"
    before = (agent / "agent.pem").read_bytes(), (agent / "agent-key.pem").read_bytes()
    renew(AGENTS["consul"], folder / "ca" / "consul", agent)
    verify(folder, "consul", "consul")
    assert (agent / "agent.pem").read_bytes() != before[0]
    assert (agent / "agent-key.pem").read_bytes() != before[1]
    assert not list((folder / "ca").rglob("agent-key.pem"))
    assert 824 < days_left(agent, time.time()) <= 825
    assert days_left(agent, time.time() + 800 * DAY_SECONDS) < 30


def test_roles_and_passwords_take_turns_and_the_rest_stays(folder: Path) -> None:
    close(folder)
    first = secrets(folder)
    assert first is not None
    second, third = first.in_turn(), first.in_turn().in_turn()
    roles = [one.manager_login and one.manager_login[0] for one in (first, second, third)]
    assert roles == ["manager", "manager2", "manager"]
    users = [one.webhook_login[0] for one in (first, second, third)]
    assert users == ["webhook", "webhook2", "webhook"]
    passwords = [(one.cassandra_manager, one.cassandra_webhook) for one in (first, second, third)]
    assert len({word for pair in passwords for word in pair}) == 6
    assert replace(third, cassandra_manager=passwords[0][0], cassandra_webhook=passwords[0][1]) == (
        first
    )


def test_receivers_and_cqlsh_are_told_the_role_whose_turn_it_is(folder: Path) -> None:
    close(folder)
    first = secrets(folder)
    assert first is not None
    second = first.in_turn()
    write(second, folder / "node")
    assert secrets(folder) == second
    login = folder / "node" / "login" / "webhook"
    assert login.read_text() == f"webhook2 {second.cassandra_webhook}\n"
    assert login.stat().st_mode & 0o777 == 0o644
    told = (folder / "node" / "cassandra" / "cqlshrc").read_text()
    assert told == (
        f"[plain_text_auth]\nusername = manager2\npassword = {second.cassandra_manager}\n"
    )


def test_secrets_of_before_roles_took_turns_are_read(folder: Path) -> None:
    close(folder)
    file = folder / "node" / "secrets.json"
    names = ("cassandra_manager_role", "cassandra_webhook_role")
    kept = {name: one for name, one in json.loads(file.read_text()).items() if name not in names}
    file.write_text(json.dumps(kept))
    found = secrets(folder)
    assert found is not None
    assert found.manager_login == ("manager", kept["cassandra_manager"])
    assert found.webhook_login == ("webhook", kept["cassandra_webhook"])
