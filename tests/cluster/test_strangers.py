"""What somebody can do who is on the nodes' network, or on a node, and has no token.

The stranger is a fourth machine at the nodes' switch. Where the packet filter would hide what is
asked, the question comes from this machine, which the filter lets through.
"""

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from cassandra import Unauthorized

from artifacts.binaries import provide_binary
from cluster.access.grants import operator_token
from cluster.access.secrets import AGENTS_OWN, GIVEN, KEPT, ON_NODE, Secrets
from cluster.health import look
from cluster.layout import (
    CONSUL_PORT,
    NODES,
    NOMAD_PORT,
    ROUTES_PORT,
    STATE,
    TRAFFIC_PORT,
)
from cluster.linux.namespace import LastingSwitch, Machine
from cluster.nodes import namespaces
from cluster.nodes.namespaces import KIT, inside
from cluster.ring.roles import FIRST
from cluster.ring.schema import UnansweredError, session_at
from harness.cluster import Cluster, processes_on
from harness.waiting import wait_for
from node.init import ACCOUNTS
from tests.cluster.planes import PORTS, RPC_PLAIN, RPC_TLS

pytestmark = pytest.mark.usefixtures("cluster")

OPEN_TO_ALL = {CONSUL_PORT, NOMAD_PORT, ROUTES_PORT, TRAFFIC_PORT}
"""The pages of Consul, Nomad and Fabio, and the webhook's door."""
ADDRESS = "192.168.56.66/24"
NODE = NODES[0]
CONSUL, NOMAD = NODE.url(CONSUL_PORT), NODE.url(NOMAD_PORT)
PINNED = {"LTarget": "${node.unique.name}", "Operand": "=", "RTarget": NODE.name}
KNOCK = """
import socket, sys
for port in map(int, sys.argv[2:]):
    try:
        socket.create_connection((sys.argv[1], port), 0.7).close()
        print(port)
    except OSError:
        pass
"""
HEAR = """
import select, socket, sys
last, *ports = map(int, sys.argv[1:])
ears, heard = {}, []
for port in (last, *ports):
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind(("", port))
    ears[ear] = port
print("hears", flush=True)
while last not in heard:
    for ear in select.select(list(ears), [], [], 60)[0] or sys.exit("nothing was heard"):
        ear.recv(100)
        heard.append(ears[ear])
print(*heard)
"""
TELL = """
import socket, sys
host, source, *ports = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
    mouth.bind(("", int(source)))
    for port in ports:
        mouth.sendto(b"x", (host, int(port)))
"""
ROGUE = {"Name": "webhook", "ID": "rogue", "Address": "192.168.56.66", "Port": 9}
EVIL = {"Origin": "https://evil.example", "Content-Type": "text/plain"}


@pytest.fixture
def stranger() -> Iterator[Machine]:
    """A machine at the nodes' switch."""
    switch = LastingSwitch(namespaces.SWITCH, namespaces.running(namespaces.SWITCH))
    with Machine("stranger") as machine:
        switch.plug(machine, "eth1", ADDRESS)
        yield machine
    switch.unplug(machine.name)


def listening(node: Any) -> set[int]:
    """The TCP ports at which something of the node listens for others."""
    shown = subprocess.run(
        inside(node, "ss", "-Hltn"), capture_output=True, text=True, check=True
    ).stdout
    local = (line.split()[3].rpartition(":") for line in shown.splitlines())
    return {int(port) for host, _, port in local if not host.startswith(("127.", "[::1]"))}


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_stranger_reaches_the_doors_and_no_other_port(stranger: Machine, node: Any) -> None:
    ports = listening(node)
    assert ports > {7000, 8300, 8301, 4647, 4648, 9042}  # this looks at the right machine
    knock = (sys.executable, "-c", KNOCK, node.address, *map(str, sorted(ports)))
    assert {int(port) for port in stranger.must(*knock).split()} == OPEN_TO_ALL


def test_no_datagram_passes_for_an_answer(stranger: Machine) -> None:
    """From no port of names, time or addresses: only where answers to the node's questions go."""
    own, answers = (5301, 8899, 32000), 40000
    hear = inside(NODE, sys.executable, "-c", HEAR, str(answers), *map(str, own))
    with subprocess.Popen(hear, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "hears\n"
        for source in (67, 123, 547, 50000, 53):
            ports = map(str, (*own, answers) if source == 53 else own)
            stranger.must(sys.executable, "-c", TELL, NODE.address, str(source), *ports)
        assert listener.stdout.read().split() == [str(answers)]
    assert listener.returncode == 0


def test_without_a_token_one_may_look() -> None:
    assert {job["ID"] for job in get(f"{NOMAD}/v1/jobs").json()} >= {"webhook", "fabio"}
    assert len(get(f"{NOMAD}/v1/nodes").json()) == len(NODES)
    assert "webhook" in get(f"{CONSUL}/v1/catalog/services").json()
    assert len(get(f"{CONSUL}/v1/agent/members").json()) == len(NODES)


def get(url: str) -> requests.Response:
    answer = requests.get(url, timeout=5)
    assert answer.status_code == 200, answer.text
    return answer


def nobodys_job(task: dict[str, Any], job: str = "intruder") -> dict[str, Any]:
    """A batch job that runs once, on NODE."""
    return {
        "Job": {
            "ID": job,
            "Name": job,
            "Type": "batch",
            "Datacenters": ["dc1"],
            "Constraints": [PINNED],
            "TaskGroups": [
                {
                    "Name": job,
                    "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
                    "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
                    "Volumes": {"usr": {"Type": "host", "Source": "usr", "ReadOnly": True}},
                    "Tasks": [
                        {
                            "Name": job,
                            "Driver": "exec",
                            "VolumeMounts": [{"Volume": "usr", "Destination": "/usr"}],
                            "Resources": {"CPU": 50, "MemoryMB": 32},
                            **task,
                        }
                    ],
                }
            ],
        }
    }


def whole_disk(node_id: str) -> dict[str, Any]:
    """A request for a volume of the host's: all of that node's disk."""
    how = {"AccessMode": "single-node-writer", "AttachmentMode": "file-system"}
    volume = {"Name": "root", "NodeID": node_id, "HostPath": "/", "PluginID": "mkdir"}
    return {"Volume": {**volume, "RequestedCapabilities": [how]}}


def script(text: str) -> dict[str, Any]:
    return {"command": "/usr/bin/python3", "args": ["-c", text]}


def test_three_requests_of_a_web_page_run_nothing() -> None:
    """Which made it root on a node: a volume of the host's, and a job that mounts it."""
    node_id = get(f"{NOMAD}/v1/nodes").json()[0]["ID"]
    for method, path, document in (
        ("PUT", "volume/host/register", whole_disk(node_id)),
        ("PUT", "volume/host/create", whole_disk(node_id)),
        ("POST", "jobs", nobodys_job({"Config": script("print(1)")})),
        ("POST", "job/webhook/scale", {"Count": 1, "Target": {"Group": "webhook"}}),
        ("PUT", "acl/bootstrap", {}),
        ("PUT", f"node/{node_id}/drain", {"DrainSpec": {"Deadline": 1}}),
        ("DELETE", "job/webhook", None),
    ):
        url, data = f"{NOMAD}/v1/{path}", json.dumps(document)
        answer = requests.request(method, url, data=data, headers=EVIL, timeout=5)
        refused = 400 if path == "acl/bootstrap" else 403
        assert answer.status_code == refused, f"{path}: {answer.text}"
    assert "intruder" not in {job["ID"] for job in get(f"{NOMAD}/v1/jobs").json()}


@pytest.mark.parametrize("path", ["agent/service/register", "catalog/register", "kv/fabio/config"])
def test_no_route_is_registered_without_a_token(path: str) -> None:
    """Not by another machine, and not by a program of the node's own."""
    rogue = {"Node": "rogue", "Address": "192.168.56.66", "Service": {"Service": "webhook"}}
    document = json.dumps(ROGUE if path.startswith("agent") else rogue)
    answer = requests.put(f"{CONSUL}/v1/{path}", data=document, timeout=5)
    assert answer.status_code == 403, answer.text
    curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "-d", document)
    url = f"http://127.0.0.1:{CONSUL_PORT}/v1/{path}"
    told = subprocess.run(inside(NODE, *curl, url), capture_output=True, text=True, check=True)
    assert told.stdout == "403"
    assert {one.address for one in look(("webhook",)).services["webhook"]}.isdisjoint(
        {"192.168.56.66:9", "192.168.56.66:0"}
    )


@pytest.mark.parametrize("key", ["", "another cluster's"])
def test_a_consul_without_the_key_is_no_member(tmp_path: Path, key: str) -> None:
    encrypt = [f"-encrypt={Secrets.new().consul_gossip}"] if key else []
    command = [str(provide_binary("consul")), "agent", "-node=rogue", "-bind=192.168.56.1"]
    command += ["-retry-join=192.168.56.11", f"-data-dir={tmp_path}", "-client=127.0.0.1"]
    command += ["-http-port=28500", "-dns-port=-1", "-grpc-port=-1", "-serf-lan-port=28301"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        agent = subprocess.Popen([*command, *encrypt], stdout=file, stderr=file)
    try:
        wait_for(
            lambda: "failed to join" in log.read_text().lower() or "rogue" in members(),
            "an answer to the stranger",
            30,
        )
    finally:
        agent.kill()
        agent.wait()
    assert members() == {node.name for node in NODES}


@pytest.mark.parametrize("key", ["", "another cluster's"])
def test_a_nomad_without_the_key_is_no_member(tmp_path: Path, key: str) -> None:
    settings = {
        "name": "rogue",
        "data_dir": str(tmp_path / "data"),
        "bind_addr": "192.168.56.1",
        "ports": {"http": 24646, "rpc": 24647, "serf": 24648},
        "server": {
            "enabled": True,
            "bootstrap_expect": 3,
            "server_join": {"retry_join": [NODE.address], "retry_max": 2, "retry_interval": "1s"},
            **({"encrypt": Secrets.new().nomad_gossip} if key else {}),
        },
    }
    (tmp_path / "rogue.json").write_text(json.dumps(settings))
    log = tmp_path / "log"
    command = [str(provide_binary("nomad")), "agent", f"-config={tmp_path / 'rogue.json'}"]
    with log.open("wb") as file:
        agent = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        wait_for(
            lambda: "max join retry exhausted" in log.read_text() or "rogue.global" in servers(),
            "an answer to the stranger",
            30,
        )
    finally:
        agent.kill()
        agent.wait()
    assert servers() == {f"{node.name}.global" for node in NODES}


def servers() -> set[str]:
    """Nomad's, by their names in its gossip."""
    return {one["Name"] for one in get(f"{NOMAD}/v1/agent/members").json()["Members"]}


@pytest.mark.parametrize("login", [None, FIRST], ids=["nobody", "the first"])
def test_cassandra_lets_in_nobody_without_a_role_of_the_clusters(
    login: tuple[str, str] | None,
) -> None:
    for node in NODES:
        with pytest.raises(UnansweredError, match="authenticat"), session_at([node.address], login):
            pass


def test_receivers_read_and_write_events_and_nothing_else() -> None:
    secrets = Secrets.read()
    assert secrets is not None
    with session_at([NODE.address], secrets.webhook_login) as session:
        session.execute("SELECT * FROM teracompra.lanes LIMIT 1")
        for statement in (
            "DROP TABLE teracompra.lanes",
            "SELECT * FROM system_auth.roles",
            "ALTER ROLE cassandra WITH LOGIN = true",
            "CREATE KEYSPACE mine WITH replication = {'class': 'SimpleStrategy'}",
        ):
            with pytest.raises(Unauthorized):
                session.execute(statement)


@pytest.mark.parametrize("shown", ["", *PORTS])
@pytest.mark.parametrize("agent", PORTS)
def test_only_an_agents_own_certificate_makes_a_peer(agent: str, shown: str) -> None:
    """Not another agent's, and not none. With TLS 1.3 who is refused hears it at the first read."""
    context = ssl.create_default_context(cafile=str(GIVEN / agent / "ca.pem"))
    context.check_hostname = False
    if shown:
        files = (GIVEN / shown / "agent.pem", GIVEN / shown / "agent-key.pem")
        context.load_cert_chain(*map(str, files))

    def is_let_in() -> bool:
        with connected(agent, RPC_TLS[agent]) as connection, context.wrap_socket(connection) as tls:
            tls.settimeout(1)
            try:
                return tls.recv(1) != b""
            except TimeoutError:
                return True  # it waits for what a peer says first
            except (ssl.SSLError, ConnectionError):
                return False

    assert is_let_in() is (agent == shown)


@pytest.mark.parametrize("agent", PORTS)
def test_nobody_is_a_peer_without_tls(agent: str) -> None:
    with connected(agent, RPC_PLAIN[agent]) as plain:
        plain.sendall(bytes(64))
        with suppress(ConnectionError):
            assert plain.recv(1) in {b"", b"\x15"}, "an end, or an alert of TLS's before it"


def connected(agent: str, begins: str) -> socket.socket:
    """A connection to where the agent's peers connect, that begins with these bytes, in hex."""
    connection = socket.create_connection((NODE.address, PORTS[agent]), 5)
    connection.sendall(bytes.fromhex(begins))
    return connection


def members() -> set[str]:
    return {one["Name"] for one in get(f"{CONSUL}/v1/agent/members").json()}


def test_a_job_of_the_operators_is_nobody_on_its_node(cluster: Cluster) -> None:
    """It has none of root's capabilities, and no file that nobody may read."""
    text = (
        "import os\n"
        "caps = [line for line in open('/proc/self/status') if line.startswith('CapEff')]\n"
        "print('uid', os.getuid(), *caps)\n"
        "for path, mode in (('/etc/passwd', 'a'), ('/usr/intruder', 'w')):\n"
        "    try:\n"
        "        open(path, mode).write('x')\n"
        "        print('wrote', path)\n"
        "    except OSError as error:\n"
        "        print('refused', path)\n"
        "try:\n"
        "    os.setuid(0)\n"
        "    print('became root')\n"
        "except OSError:\n"
        "    print('refused root')\n"
    )
    said = ran(cluster, {"Config": script(text)})
    assert "uid 65534 CapEff:\t0000000000000000" in said
    assert said.count("refused") == 3
    assert "wrote" not in said
    assert "became" not in said


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"Config": {**script("print(1)"), "cap_add": ["dac_override"]}}, "capabilities"),
        ({"Config": script("print(1)"), "User": "root"}, "disallowed"),
        ({"Config": script("print(1)"), "User": "daemon"}, "disallowed"),
    ],
    ids=["cap_add", "root", "daemon"],
)
def test_no_job_asks_for_more(cluster: Cluster, task: dict[str, Any], words: str) -> None:
    assert words in ran(cluster, task, ends="failed")


def ran(cluster: Cluster, task: dict[str, Any], ends: str = "complete") -> str:
    """What a job of the operator's printed; or, if it `ends` as failed, what Nomad says of it."""
    job = f"intruder-{uuid4().hex[:8]}"
    cluster.ask(lambda client: client.jobs.register_job(nobodys_job(task, job)))

    def allocation() -> dict[str, Any] | None:
        found = cluster.ask(lambda client: client.job.get_allocations(job))
        ended = [one for one in found if one["ClientStatus"] in {"complete", "failed"}]
        return dict(ended[0]) if ended else None

    try:
        found = wait_for(allocation, f"the end of {job}", 60, 0.3)
        assert found is not None
        events = "\n".join(e["DisplayMessage"] for e in found["TaskStates"][job]["Events"])
        assert found["ClientStatus"] == ends, events
        return events if ends == "failed" else cluster.nomad("alloc", "logs", found["ID"]).stdout
    finally:
        cluster.ask(lambda client: client.job.deregister_job(job, purge=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alloc", "exec", "{alloc}", "/usr/bin/id"), "failed to exec into task"),
        (("acl", "token", "list"), "403"),
        (("acl", "policy", "delete", "anonymous"), "403"),
        (("operator", "snapshot", "save", "{folder}/snapshot"), "403"),
    ],
    ids=["exec", "tokens", "policies", "snapshot"],
)
def test_the_operators_token_is_no_managers(
    cluster: Cluster, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    running = cluster.ask(lambda client: client.job.get_allocations("webhook"))
    alloc = next(one["ID"] for one in running if one["ClientStatus"] == "running")
    command = [word.format(alloc=alloc, folder=tmp_path) for word in arguments]
    done = cluster.nomad(*command, code=None)
    assert done.returncode
    assert words in done.stdout + done.stderr


CONSULS = {
    "consul_agent": {"register webhook", "key", "policy", "leave"},
    "consul_nomad": {"key", "policy", "leave"},
    "consul_operator": {"policy"},
}
"""What each of Consul's tokens may not."""


@pytest.mark.parametrize(("name", "refused"), CONSULS.items(), ids=list(CONSULS))
def test_a_token_of_consuls_may_what_it_is_for(name: str, refused: set[str]) -> None:
    headers = {"X-Consul-Token": getattr(Secrets.needed(), name)}
    asked = {
        "register webhook": ("agent/service/register", {**ROGUE, "ID": f"rogue-{name}"}),
        "key": (f"kv/rogue/{name}", {}),
        "policy": ("acl/policy", {"Name": f"rogue-{name}", "Rules": ""}),
        "leave": ("agent/force-leave/nobody", {}),
    }
    try:
        answers = {
            what: requests.put(f"{CONSUL}/v1/{path}", json.dumps(body), headers=headers, timeout=5)
            for what, (path, body) in asked.items()
            if what in refused
        }
        codes = {what: answer.status_code for what, answer in answers.items()}
        assert codes == dict.fromkeys(refused, 403), codes
    finally:
        assert "rogue" not in get(f"{CONSUL}/v1/agent/services").text


def test_the_operator_has_no_volume_of_the_hosts_made() -> None:
    headers = {"X-Nomad-Token": operator_token()}
    for what in ("register", "create"):
        url = f"{NOMAD}/v1/volume/host/{what}"
        answer = requests.put(url, json=whole_disk("0"), headers=headers, timeout=5)
        assert answer.status_code == 403, answer.text


def test_no_secret_is_where_others_read() -> None:
    """Arguments, environments of jobs, their descriptions, logs, the kit, what may be looked at."""
    secrets = Secrets.read()
    assert secrets is not None
    operator = (KEPT / "operator").read_text() if (KEPT / "operator").exists() else ""
    names = {"cassandra_manager_role", "cassandra_webhook_role"}
    known = {one: getattr(secrets, one) for one in {*secrets.__dataclass_fields__} - names}
    known["operator"] = operator or "none was made"
    told: dict[str, str] = {}
    for node in NODES:
        for pid, line in processes_on(node).items():
            told[f"{node.name} argv {pid}"] = line
            if Path(f"/proc/{pid}").stat().st_uid:
                text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
                told[f"{node.name} environ {pid}"] = text
    for path in (*STATE.glob("node-*/log/*"), *(KIT / "node").rglob("*")):
        if path.is_file():
            told[str(path)] = path.read_text(errors="replace")
    for url in (
        *(f"{NOMAD}/v1/{path}" for path in ("job/webhook", "job/fabio", "agent/self", "metrics")),
        *(f"{CONSUL}/v1/agent/{path}" for path in ("self", "services", "metrics")),
        f"{NODE.url(ROUTES_PORT)}/api/config",
    ):
        told[url] = get(url).text
    assert len(told) > 30
    for where, text in told.items():
        for name, secret in known.items():
            assert secret not in text, f"{name} is in {where}"


def test_other_users_read_no_agents_data() -> None:
    for node in NODES:
        agents = ("consul", "nomad", "cassandra")
        for name in agents:
            mode = (node.directory / "lib" / name).stat().st_mode
            assert not mode & 0o077, f"{node.name} {name} {mode:o}"
        ls = inside(node, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls")
        folders = [f"/var/lib/{name}" for name in agents]
        folders += [str(ON_NODE), *(str(AGENTS_OWN / name) for name in ACCOUNTS)]
        for folder in folders:
            done = subprocess.run([*ls, folder], capture_output=True, text=True, check=False)
            assert "Permission denied" in done.stderr, folder


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_agents_are_users_of_their_own(node: Any) -> None:
    """Nomad's alone is root: its client makes control groups and mounts for others."""
    for agent in ("consul", "cassandra", "nomad"):
        pid = (node.directory / "log" / f"{agent}.pid").read_text()
        status = on(node, "cat", f"/proc/{pid}/status").stdout
        account = ACCOUNTS.get(agent, 0)
        assert fields(status, "Uid") == fields(status, "Gid") == [str(account)] * 4
        if account:
            assert fields(status, "Groups") == []
            assert fields(status, "NoNewPrivs") == ["1"]
            for name in ("CapPrm", "CapEff", "CapAmb"):
                assert int(fields(status, name)[0], 16) == 0
        state = node.directory / "lib" / agent
        assert state.stat().st_uid == account
        if account:
            find = ["find", str(state), "!", "-uid", str(account)]  # files go while it looks
            assert subprocess.run(find, stdout=subprocess.PIPE, check=False).stdout == b""


def fields(status: str, name: str) -> list[str]:
    return next(line for line in status.splitlines() if line.startswith(f"{name}:")).split()[1:]


def on(node: Any, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(inside(node, *command), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("agent", ACCOUNTS)
def test_each_agent_reads_its_own_alone(agent: str) -> None:
    """Its own data, and its own secrets, which it can't change."""
    account = str(ACCOUNTS[agent])
    become = ("setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups")
    others = {"consul", "cassandra", "nomad"} - {agent}
    closed = [f"{ON_NODE}/secrets.json", f"{ON_NODE}/{agent}/ca.pem", f"{ON_NODE}/login/webhook"]
    closed += [f"{folder}/{other}" for folder in ("/var/lib", AGENTS_OWN) for other in others]
    for path in closed:
        shown = on(NODE, *become, "ls", path).stderr
        assert "denied" in shown or "No such file" in shown, path
    own = f"{AGENTS_OWN}/{agent}"
    assert "BEGIN CERTIFICATE" in on(NODE, *become, "cat", f"{own}/ca.pem").stdout
    for change in (("touch", f"{own}/more"), ("rm", f"{own}/ca.pem"), ("tee", f"{own}/ca.pem")):
        assert "denied" in on(NODE, *become, *change).stderr, change
