"""One cluster, open and closed in turns: its data stays, and no job becomes root in either."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cluster.access.secrets import KEPT, Secrets
from cluster.layout import CONSUL_PORT, NODES, NOMAD_PORT
from cluster.ring.schema import UnansweredError, session_at
from harness.cluster import COMMAND, DOORS, Cluster, processes_on
from harness.generator import Generator
from harness.verification import Bounds, judged, of_its_runs, settled_counts
from harness.waiting import wait_for
from tests.cluster.test_strangers import EVIL, NODE, nobodys_job, script, whole_disk
from tests.support.say import Say
from webhook.store.audit import stored_ids

pytestmark = [pytest.mark.usefixtures("at_length"), pytest.mark.timeout(3600)]

AGENTS = ("consul agent", "nomad agent", "CassandraDaemon")
KILLED = 9
"""So many times an `up` is killed, if it says as much."""
TOUCHES = """
import os
print('uid', os.getuid(), *[line for line in open('/proc/self/status') if 'CapEff' in line])
for path in ('/root', '/etc/shadow', '/root/etc/shadow'):
    try:
        open(path).read()
        print('read', path)
    except OSError:
        print('refused', path)
for path in ('/root/intruder', '/root/etc/intruder', '/root/usr/intruder'):
    try:
        open(path, 'w').write('x')
        print('wrote', path)
    except OSError:
        print('refused', path)
"""


@pytest.fixture
def ended(running_cluster: Cluster) -> Iterator[Cluster]:
    """No cluster; afterwards there is another one, as tests find it."""
    running_cluster.down()
    yield running_cluster
    running_cluster.down()
    running_cluster.up()


def test_a_cluster_is_open_and_closed_in_turns(ended: Cluster, tmp_path: Path, say: Say) -> None:
    """
    1. The first `up`, killed again and again, and agents with it: it ends well all the same.
    2. Open: a stranger's job runs, but is nobody; the host's files are closed to it.
    3. Closed, with the data: the stranger is refused, and so is who has no password.
    4. Open again, closed again: the same data, the same secrets.
    Result: what was acknowledged in any of them is stored once, and counted.
    """
    # 1.
    kills = up_killed_again_and_again("--open")
    say(f"`up` was killed {kills} times")
    assert Secrets.read() is None
    ended.up()
    # 2.
    outcomes = sent(tmp_path / "open")
    attack_is_harmless()
    with session_at([NODE.address], None) as session:
        session.execute("SELECT * FROM teracompra.lanes LIMIT 1")
    # 3.
    turn(ended, "--closed")
    first = Secrets.needed()
    outcomes |= sent(tmp_path / "closed")
    assert attacked()["jobs"] == 403
    with pytest.raises(UnansweredError, match="authenticat"), session_at([NODE.address], None):
        pass
    # 4.
    turn(ended, "--open")
    assert attacked()["jobs"] == 200
    outcomes |= sent(tmp_path / "open again")
    turn(ended, "--closed")
    assert Secrets.needed() == first
    settled_counts(DOORS, ended.store)
    ids = of_its_runs(outcomes, stored_ids(ended.store))
    say(judged(outcomes, ids, Bounds(acknowledged=900, unknown=0)))


def test_the_first_up_of_a_closed_cluster_may_be_killed(ended: Cluster, say: Say) -> None:
    """Again and again, and agents with it. Result: one manager each, one authority, all well."""
    kills = up_killed_again_and_again("--closed")
    say(f"`up` was killed {kills} times")
    first = Secrets.needed()
    authorities = {path: path.read_bytes() for path in (KEPT / "ca").rglob("*.pem")}
    ended.up()
    ended.await_well()
    assert Secrets.needed() == first
    assert authorities == {path: path.read_bytes() for path in (KEPT / "ca").rglob("*.pem")}
    assert ended.command("status").returncode == 0


def up_killed_again_and_again(kind: str) -> int:
    """Kill an `up` at each line that is new, with an agent of a node; how often that was."""
    seen: set[str] = set()
    kills = 0
    while True:
        with subprocess.Popen(
            [str(COMMAND), "up", kind, "--no-autoscaling"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as up:
            for line in up.stderr or ():
                words = line.split(" s ", 1)[-1].strip()  # without the seconds before it
                if words not in seen and kills < KILLED:
                    seen.add(words)
                    up.kill()
                    break
        if up.returncode == 0:
            return kills
        assert up.returncode == -signal.SIGKILL, words
        kill_an_agent(kills)
        kills += 1


def kill_an_agent(number: int) -> None:
    """Another one each time, if it runs."""
    node, agent = NODES[number % len(NODES)], AGENTS[number // len(NODES) % len(AGENTS)]
    for pid, line in processes_on(node).items():
        if agent in line:
            os.kill(pid, signal.SIGKILL)
            return


def turn(cluster: Cluster, kind: str) -> None:
    """Have the same cluster as the other kind."""
    refused = cluster.command("up", kind, code=1)
    assert "down --keep-data" in refused.stderr
    cluster.command("down", "--keep-data")
    cluster.command("up", kind, "--no-autoscaling")
    cluster.await_well()


def sent(folder: Path) -> dict[str, Any]:
    """Events through each door; what became of each."""
    with Generator(DOORS, folder, "--rate", "100") as generator:
        generator.acknowledge(300)
        assert generator.finish(interrupt=True)["unknown"] == 0
        return dict(generator.outcomes())


def attacked(job: dict[str, Any] | None = None) -> dict[str, int]:
    """The requests of a web page: a volume of the host's, and a job; what Nomad answered each."""
    url = f"{NODE.url(NOMAD_PORT)}/v1"
    node_id = next(
        one["ID"]
        for one in requests.get(f"{url}/nodes", timeout=5).json()
        if one["Name"] == NODE.name
    )
    asked = {
        "volume": ("PUT", "volume/host/register", whole_disk(node_id)),
        "jobs": ("POST", "jobs", job or nobodys_job({"Config": script("print(1)")}, "harmless")),
    }
    return {
        name: requests.request(
            method, f"{url}/{path}", data=json.dumps(document), headers=EVIL, timeout=10
        ).status_code
        for name, (method, path, document) in asked.items()
    }


def attack_is_harmless() -> None:
    """Who reaches an open cluster runs jobs; but they are nobody, whatever they ask for."""
    for name, more in {"plain": {}, "able": {"cap_add": ["dac_override"]}}.items():
        job = nobodys_job({"Config": {**script(TOUCHES), **more}}, f"attack-{name}")
        (group,) = job["Job"]["TaskGroups"]
        group["Volumes"]["root"] = {
            "Type": "host",
            "Source": "root",
            "AccessMode": "single-node-writer",
            "AttachmentMode": "file-system",
        }
        group["Tasks"][0]["VolumeMounts"].append({"Volume": "root", "Destination": "/root"})
        assert attacked(job)["jobs"] == 200
        found = end_of(f"attack-{name}")
        if more:
            assert "capabilities" in json.dumps(found["TaskStates"])
            continue
        logs = f"{NODE.url(NOMAD_PORT)}/v1/client/fs/logs/{found['ID']}"
        asked = {"task": "attack-plain", "type": "stdout", "plain": "true"}
        said = requests.get(logs, asked, timeout=10).text
        assert "uid 65534 CapEff:\t0000000000000000" in said, said
        assert "wrote" not in said, said
        assert "read /root/etc/shadow" not in said, said
        assert not Path("/etc/intruder").exists()
    assert requests.get(f"{NODE.url(CONSUL_PORT)}/v1/status/leader", timeout=5).status_code == 200


def end_of(job: str) -> dict[str, Any]:
    """The job's allocation, once it has ended."""

    def ended() -> list[dict[str, Any]]:
        url = f"{NODE.url(NOMAD_PORT)}/v1/job/{job}/allocations"
        found = requests.get(url, timeout=5).json()
        return [one for one in found if one["ClientStatus"] in {"complete", "failed"}]

    return wait_for(ended, f"the end of {job}", 60, 0.5)[0]
