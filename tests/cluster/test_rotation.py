"""Other keys and certificates while events come in: none fails, and nothing is lost."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests

from cluster.access.grants import tokens
from cluster.access.secrets import GIVEN, Secrets
from cluster.health import consul_at
from cluster.layout import CONSUL_PORT, NODES, NOMAD_PORT, Node
from cluster.nodes.namespaces import inside
from cluster.ring.schema import UnansweredError, session_at
from harness.cluster import COMMAND, Cluster
from harness.verification import Bounds
from harness.waiting import wait_for
from tests.cluster.load import load
from tests.cluster.planes import PORTS, RPC_TLS


def served(node: Node, agent: str) -> str:
    """The certificate by which the agent takes connections now, in PEM."""
    code = (
        "import socket, ssl, sys\n"
        "s = socket.create_connection((sys.argv[4], int(sys.argv[1])), 5)\n"
        "s.sendall(bytes.fromhex(sys.argv[2]))\n"
        "c = ssl._create_unverified_context()\n"
        "c.load_cert_chain(sys.argv[3] + '/agent.pem', sys.argv[3] + '/agent-key.pem')\n"
        "print(ssl.DER_cert_to_PEM_cert(c.wrap_socket(s).getpeercert(True)))\n"
    )
    folder = f"/var/lib/teracompra/access/{agent}"
    words = (str(PORTS[agent]), RPC_TLS[agent], folder, node.address)
    command = inside(node, "python3", "-c", code, *words)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return "".join(done.stdout.split())


def shows(node: Node, agent: str, certificate: str) -> bool:
    return served(node, agent) == certificate


SELF = {
    "NOMAD_TOKEN": (NOMAD_PORT, "X-Nomad-Token"),
    "CONSUL_HTTP_TOKEN": (CONSUL_PORT, "X-Consul-Token"),
}


def refuses(node: Node, variable: str, token: str) -> bool:
    """Whether the node's agent knows nobody of that token: Nomad's by itself, not by who leads."""
    port, header = SELF[variable]
    url = f"{node.url(port)}/v1/acl/token/self{'?stale' if variable == 'NOMAD_TOKEN' else ''}"
    answer = requests.get(url, headers={header: token}, timeout=10)
    assert answer.status_code in {HTTPStatus.OK, HTTPStatus.FORBIDDEN}, answer.text
    return answer.status_code == HTTPStatus.FORBIDDEN


def nomads_keys(client: Any) -> set[str]:
    return set(client.agent.request("keyring", "list", method="get").json()["Keys"])


def test_certificates_and_keys_change_under_load(cluster: Cluster, tmp_path: Path) -> None:
    """
    1. Other certificates: each agent shows its new one.
    2. Other keys for gossip: all know them, and no other.
    3. Other tokens: no agent takes the old ones, and each takes the new. Nothing is registered by
       an old one.
    4. Who leads Consul, and another Nomad, start again and find the others. The first manager's
       token, with which Consul began, does not come back.
    Result: no event failed, every count is exact. Consul hears of an allocation that hangs, which
    was there before.
    """
    secrets = Secrets.read()
    assert secrets is not None
    with load(cluster, tmp_path / "ledger", Bounds(3000, 0)) as running:
        # 1.
        cluster.command("rotate", "certificates")
        for agent in PORTS:
            new = "".join((GIVEN / agent / "agent.pem").read_text().split())
            for node in NODES:
                wait_for(
                    partial(shows, node, agent, new),
                    f"the new certificate of {agent} on {node.name}",
                    20,
                    0.5,
                )
        running.acknowledge(300)
        # 2.
        cluster.command("rotate", "gossip")
        after = Secrets.read()
        assert after is not None
        assert after.consul_gossip != secrets.consul_gossip
        for node in NODES:
            with consul_at(node) as client:
                headers = client.prepare_headers(after.consul_manager)
                rings = client.http.session.get(
                    f"{client.http.base_uri}/v1/operator/keyring?local-only=true", headers=headers
                ).json()
            assert {key for ring in rings for key in ring["Keys"]} == {after.consul_gossip}
        assert cluster.ask(nomads_keys) == {after.nomad_gossip}
        running.acknowledge(300)
        # 3.
        old = tokens()
        registered = set(registering_tokens())
        assert registered == {secrets.consul_nomad}
        there = cluster.ask(allocations)
        cluster.command("rotate", "tokens")
        assert set(registering_tokens()) == {Secrets.needed().consul_nomad}
        assert cluster.ask(allocations) == there
        for token in registered:
            for node in NODES:
                ended = partial(refuses, node, "CONSUL_HTTP_TOKEN", token)
                wait_for(ended, "an end of the token that Nomad had", 40, 0.5)
        assert "rotate tokens" not in cluster.command("status", code=None).stdout
        for node in NODES:
            for variable, token in old.items():
                wait_for(partial(refuses, node, variable, token), f"an end of {variable}", 40, 0.5)
            for variable, token in tokens().items():
                assert not refuses(node, variable, token)
        running.acknowledge(300)
        # 4.
        cluster.command("restart", cluster.health().consul_leader, "consul")
        cluster.command("restart", NODES[0].name, "nomad")
        for node in NODES:
            assert refuses(node, "CONSUL_HTTP_TOKEN", secrets.consul_manager)
        assert "rotate tokens" not in cluster.command("status", code=None).stdout
        running.acknowledge(300)
    assert running.failed == 0, running.verdict
    cluster.await_well()
    with hung(cluster) as address:
        wait_for(lambda: address not in addresses(cluster), "Consul's word that it hangs", 30, 0.5)
    wait_for(lambda: address in addresses(cluster), "Consul's word that it is well", 30, 0.5)
    cluster.await_well()


def registering_tokens() -> Iterator[str]:
    """By which tokens Consul's agents keep the services and the checks that Nomad registered."""
    for node in NODES:
        for kind in ("services", "checks"):
            for file in (node.directory / "lib" / "consul" / kind).iterdir():
                if "_nomad-" in (text := file.read_text()):
                    yield json.loads(text)["Token"]


def allocations(client: Any) -> set[str]:
    """The ids of those of the webhook that run."""
    found = client.job.get_allocations("webhook")
    return {one["ID"] for one in found if one["ClientStatus"] == "running"}


def addresses(cluster: Cluster) -> set[str]:
    """Where allocations of the webhook are that pass."""
    return {one.address for one in cluster.passing()}


@contextmanager
def hung(cluster: Cluster) -> Iterator[str]:
    """An allocation of the webhook, by its address, that hangs meanwhile."""
    pid = next(
        pid
        for processes in cluster.pids().values()
        for pid, line in processes.items()
        if "-m webhook" in line
    )
    told = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield next(line for line in told if line.startswith("WEBHOOK_ADDRESS=")).partition("=")[2]
    finally:
        os.kill(pid, signal.SIGCONT)


def test_passwords_change_under_load(cluster: Cluster, tmp_path: Path) -> None:
    """
    1. Other passwords: nobody is connected by the former ones, which are refused.
    2. Again, cut off in the middle: what that left is told, and the next time completes it.
    Result: no event failed, nothing is lost, every count is exact.
    """
    with load(cluster, tmp_path / "ledger", Bounds(3000, 0)) as running:
        # 1.
        first = Secrets.needed()
        cluster.command("rotate", "passwords")
        second = Secrets.needed()
        assert second.webhook_login[0] != first.webhook_login[0]
        running.acknowledge(300)
        for node in NODES:
            assert lets_in_only(node, second, first)
        # 2.
        cut = cluster_command("rotate", "passwords")
        wait_for(lambda: Secrets.needed() != second, "the new secrets", 120, 0.01)
        cut.kill()
        cut.wait()
        running.acknowledge(300)
        assert "of a rotation that was cut off" in cluster.command("status", code=None).stdout
        cluster.command("rotate", "passwords")
        assert "rotate passwords" not in cluster.command("status", code=None).stdout
        last = Secrets.needed()
        assert last.webhook_login[0] == second.webhook_login[0]
        running.acknowledge(300)
        for node in NODES:
            assert lets_in_only(node, last, second)
    assert running.failed == 0, running.verdict
    cluster.await_well()


@pytest.mark.usefixtures("at_length")
def test_passwords_change_while_a_node_is_down(cluster: Cluster) -> None:
    """It comes back, and lets in the new ones alone."""
    before = Secrets.needed()
    cluster.kill(NODES[2])
    cluster.command("rotate", "passwords")
    cluster.restore()
    assert lets_in_only(NODES[2], Secrets.needed(), before)
    cluster.await_well()


def cluster_command(*arguments: str) -> subprocess.Popen[bytes]:
    """The command that users type, in a process of its own that can be ended."""
    return subprocess.Popen([str(COMMAND), *arguments], stdout=subprocess.DEVNULL)


def lets_in_only(node: Node, secrets: Secrets, before: Secrets) -> bool:
    """Whether the node's Cassandra knows the roles of `secrets`, and nobody by `before`'s."""
    manager, former = secrets.manager_login, before.manager_login
    assert manager is not None
    assert former is not None
    with session_at([node.address], manager, alone=True) as session:
        roles = {row.role for row in session.execute("SELECT role FROM system_auth.roles")}
    for login in (former, before.webhook_login):
        with (
            pytest.raises(UnansweredError, match="credentials"),
            session_at([node.address], login, alone=True),
        ):
            pass
    return roles == {"cassandra", manager[0], secrets.webhook_login[0]}


@pytest.mark.usefixtures("at_length")
def test_gossip_keys_and_tokens_stay_while_a_node_is_down(cluster: Cluster) -> None:
    before = Secrets.read()
    cluster.kill(NODES[2])
    for what in ("gossip", "tokens"):
        refused = cluster.command("rotate", what, code=1)
        assert re.search("node-3 does not run: scripts/cluster start node-3", refused.stderr)
    assert Secrets.read() == before
    cluster.restore()
