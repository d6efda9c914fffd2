"""The command: what it says, what it refuses, and that it can be said again."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.linux.namespace import missing
from harness.cluster import COMMAND, STORE, Cluster, run
from harness.verification import settled_counts
from tools.root import ROOT

VERBS = (
    "up",
    "down",
    "status",
    "run",
    "scale",
    "release",
    "kill",
    "start",
    "shell",
    "hurt",
    "restart",
    "replace",
    "rotate",
    "spread",
    "env",
)
JOBS = ", ".join(sorted(path.stem for path in (ROOT / "nomad").glob("*.nomad")))
TAKEN = "ip link add vboxnet0 type veth && ip address add 192.168.56.1/24 dev vboxnet0"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    shown = run([str(COMMAND), verb, "--help"])
    assert shown.stdout.startswith(f"usage: cluster {verb}")
    assert f"    {verb} " in run([str(COMMAND), "--help"]).stdout


@dataclass(frozen=True)
class Elsewhere:
    """scripts/cluster of another checkout."""

    path: str

    def run(
        self, *arguments: str, first: str = "true", code: int = 1
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a network of its own, after the shell command `first`."""
        command = ["unshare", "--net", "sh", "-c", f'{first} && exec "$0" "$@"', self.path]
        done = run([*command, *arguments], code=code)
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    if reason := missing():
        pytest.skip(f"no nodes here: {reason}")
    for name in ("artifacts", "cluster", "nomad", "requirements", "scripts", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return Elsewhere(str(tmp_path / "scripts" / "cluster"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kill", "node-4"], "there is no node-4; nodes are node-1, node-2, node-3"),
        (["start", "all"], "there is no all; nodes are"),
        (["start"], "required: node"),
        (["run"], f"which job? There are {JOBS}"),
        (["run", "webshop"], f"there is no job webshop; there are {JOBS}"),
        (["run", "webhook"], "no node's Nomad answers; scripts/cluster up"),
        (["scale", "5"], "no Nomad that answers has the job webhook; scripts/cluster up"),
        (["scale", "more"], "invalid int value: 'more'"),
        (["shell", "node-1"], "node-1 does not run; scripts/cluster start node-1"),
        (["release", "1"], "there is no cluster; scripts/cluster up"),
        (["env"], "no node's Nomad answers; scripts/cluster up"),
        (["dance"], "invalid choice: 'dance'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_explained(
    elsewhere: Elsewhere, arguments: Sequence[str], words: str
) -> None:
    code = 2 if words.startswith(("required", "invalid")) else 1
    assert words in elsewhere.run(*arguments, code=code).stderr


def test_addresses_that_others_use_are_left_to_them(elsewhere: Elsewhere) -> None:
    refused = elsewhere.run("up", first=f"{TAKEN} && ip link set vboxnet0 up")
    assert "the nodes need the addresses 192.168.56.0/24" in refused.stderr
    assert "dev vboxnet0" in refused.stderr
    assert elsewhere.run("status").stdout.count("  down") == 3


def test_a_cluster_of_another_checkout_is_left_alone(
    cluster: Cluster, elsewhere: Elsewhere
) -> None:
    refused = run([elsewhere.path, "up"], code=1)
    assert "dev teracompra0" in refused.stderr
    groups = set(Path("/sys/fs/cgroup").glob("**/nomad*"))
    run([elsewhere.path, "down"])
    assert set(Path("/sys/fs/cgroup").glob("**/nomad*")) == groups
    cluster.command("status")


def test_without_nodes_nothing_leaves_the_machine_for_them(elsewhere: Elsewhere) -> None:
    """Not by the default route; a network that has these addresses is reached."""
    network = (
        "ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v1 up && "
        "ip link set v0 up && ip address add 10.0.0.2/24 dev v0 && "
        "ip route add default via 10.0.0.1"
    )
    route = "ip route get 192.168.56.11"
    own = "ip address add 192.168.56.1/24 dev v0"
    script = f'{network} && {route} && "$0" down && "$0" down; {route}; {own} && {route}'
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, elsewhere.path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "unreachable" in done.stderr
    before, after = (line for line in done.stdout.splitlines() if line.startswith("192.168.56.11"))
    assert "via 10.0.0.1" in before
    assert "dev v0 src 192.168.56.1" in after


def test_only_root_has_nodes() -> None:
    refused = run(["unshare", "--user", str(COMMAND), "up"], code=1)
    assert "no nodes here: namespaces need root" in refused.stderr
    assert "vagrant up" in refused.stderr


def test_up_again_changes_nothing(cluster: Cluster) -> None:
    # 1. As somebody has scaled it.
    cluster.scale(3)
    settled_counts(cluster.everywhere(), STORE)
    processes = cluster.pids()
    assert all(len(found) >= 4 for found in processes.values()), processes
    # 2. Up, where all is up.
    again = cluster.command("up", "--no-autoscaling")
    assert "running job" not in again.stderr
    # Result: the same processes, the same allocations, the same events.
    assert cluster.pids() == processes
    assert cluster.count() == len(cluster.passing()) == 3
    settled_counts(cluster.everywhere(), STORE)


def test_after_up_a_job_can_be_scaled(cluster: Cluster) -> None:
    """Nomad refuses to scale a job with a deployment under way, so `up` waits for its end."""
    count = cluster.count()
    cluster.scale(count + 1)
    cluster.up()
    cluster.nomad("job", "scale", "-detach", "webhook", str(count))
    cluster.up()
    cluster.nomad("job", "scale", "-detach", "webhook", str(count + 1))
    cluster.scale(count)


def test_status_shows_every_node_and_where_to_look(cluster: Cluster) -> None:
    shown = cluster.command("status").stdout
    for number in (1, 2, 3):
        assert f"node-{number}  192.168.56.1{number}  consul ok  nomad ok  cassandra ok" in shown
    for name in ("webhook", "Consul UI", "Nomad UI", "Fabio UI"):
        assert f"{name} " in shown
    leads = " ".join(re.findall("leads (.*)", shown))
    assert sorted(leads.replace(" and", "").split()) == ["Consul", "Nomad"]


def test_a_user_s_nomad_asks_the_agent_that_leads(cluster: Cluster) -> None:
    """One that follows may not have the deployment yet that `nomad` looks at, and says 404."""
    leads = re.search(r"(192\.168\.56\.\d+) .* leads .*Nomad", cluster.command("status").stdout)
    assert leads
    assert f"export NOMAD_ADDR=http://{leads[1]}:4646" in cluster.command("env").stdout


def test_another_nomad_in_the_environment_is_not_asked(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `env` leaves it in a shell: the node that it names may be dead by now."""
    monkeypatch.setenv("NOMAD_ADDR", "http://127.0.0.1:1")
    assert cluster.command("status").stdout.count("nomad ok") == 3
