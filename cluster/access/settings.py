"""What agents of a closed cluster are told beside consul/ and nomad/."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.access.certificates import certify
from cluster.access.secrets import (
    FILE,
    ON_NODE,
    WEBHOOK_LOGIN,
    Secrets,
    new_password,
    write_private,
)
from cluster.layout import NETWORK, ClusterError
from tools.say import say

AGENTS = {
    "consul": "server.dc1.consul",
    "nomad": "server.global.nomad",
    "cassandra": "node.cassandra",
}
"""By agent: the name that makes one a server to its peers."""
FOLDERS = (*AGENTS, WEBHOOK_LOGIN.parent.name)
"""Of what nodes get."""


TURN = "scripts/cluster down --keep-data, then scripts/cluster up --{kind}"


def choose(folder: Path, *, wanted: bool | None, runs: bool, turn: str = TURN) -> bool:
    """Have `folder` as `wanted`, or as it was, or closed; whether the cluster is closed.

    Raises ClusterError if the cluster runs, and as the other kind: agents that are told different
    things would part. `turn` is how it becomes one of that `{kind}`.
    """
    node = folder / "node"
    before = False if runs else None  # one that runs and has no such folder is of an older version
    is_closed = (node / FILE).exists() if node.exists() else before
    closed = is_closed is not False if wanted is None else wanted
    if runs and is_closed is not None and closed != is_closed:
        kinds = {True: "closed", False: "open"}
        raise ClusterError(
            f"the cluster that runs is {kinds[is_closed]}; to have it {kinds[closed]}, with its "
            f"data: {turn.format(kind=kinds[closed])}"
        )
    if closed:
        close(folder, runs=runs)
    else:
        open_up(folder)
        say("OPEN: whoever reaches the nodes' network may run programs on them, and change all")
    return closed


def close(folder: Path, *, runs: bool = False) -> None:
    """Make what a closed cluster needs in `folder`, unless it is there. Raises ClusterError.

    All of it appears at once, whenever this is cut off. A cluster that was closed before gets the
    secrets that it had, which its data knows. What an older one lacks is added unless it runs.
    """
    if (folder / "node" / FILE).exists():
        if not runs:
            _complete(folder)
        return
    if (before := _closed(folder)).exists():
        shutil.rmtree(folder, ignore_errors=True)
        before.rename(folder)
        _complete(folder)
        return
    new = folder.with_name(f"{folder.name}.new")
    for old in (new, folder):
        shutil.rmtree(old, ignore_errors=True)
    parts = [new / part for part in ("ca", "node")]
    for one in (new, *parts, *(part / name for part in parts for name in FOLDERS)):
        one.mkdir(mode=0o700)
    (new / "node" / WEBHOOK_LOGIN.parent).chmod(0o755)
    secrets = Secrets.new()
    write(secrets, new / "node")
    for agent, name in AGENTS.items():
        certify(name, new / "ca" / agent, new / "node" / agent)
    new.rename(folder)


def _complete(folder: Path) -> None:
    """Add what closed clusters had not when Cassandra's door was open. Raises ClusterError."""
    found = Secrets.read(folder / "node")
    if found is None or found.cassandra_manager:
        return
    for part in ("ca", "node"):
        for name in FOLDERS:
            (folder / part / name).mkdir(mode=0o700, exist_ok=True)
    (folder / "node" / WEBHOOK_LOGIN.parent).chmod(0o755)
    agent = "cassandra"
    certify(AGENTS[agent], folder / "ca" / agent, folder / "node" / agent)
    passwords = {"cassandra_manager": new_password(), "cassandra_webhook": new_password()}
    write(replace(found, **passwords), folder / "node")


def write(secrets: Secrets, node: Path) -> None:
    """Write them, and what agents are told, in the folder that nodes get."""
    # The secrets last: whoever finds them complete finds the rest.
    write_private(node / WEBHOOK_LOGIN, f"{' '.join(secrets.webhook_login)}\n", 0o644)
    write_private(node / "cassandra" / "cqlshrc", cqlshrc(secrets))
    for agent, settings in (("consul", consul(secrets)), ("nomad", nomad(secrets))):
        write_private(node / agent / "closed.json", json.dumps(settings, indent=2))
    secrets.write(node)


def open_up(folder: Path) -> None:
    """Make `folder` that of an open cluster, whose agents are told nothing."""
    if (folder / "node" / FILE).exists():
        folder.rename(_closed(folder))
    for one in (folder, folder / "node", *(folder / "node" / name for name in FOLDERS)):
        one.mkdir(mode=0o700, exist_ok=True)
    (folder / "node" / WEBHOOK_LOGIN.parent).chmod(0o755)
    write_private(folder / "node" / WEBHOOK_LOGIN, "", 0o644)


def _closed(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.closed")


def cqlshrc(secrets: Secrets) -> str:
    """How cqlsh logs in as Cassandra's manager."""
    user, password = secrets.cassandra_manager_role, secrets.cassandra_manager
    return f"[plain_text_auth]\nusername = {user}\npassword = {password}\n"


def consul(secrets: Secrets) -> Mapping[str, Any]:
    """Consul's own settings of a closed cluster."""
    return {
        "encrypt": secrets.consul_gossip,
        # A server that has started a moment ago does not know its ACLs yet. A query that waits is
        # then an error, but a stream begins as who may see nothing, and stays it: a node's routes
        # were gone for good after its Consul's restart (seen with 1.21.0).
        "use_streaming_backend": False,
        # Beside the node's own, whom consul.hcl names: who changes something has a token.
        "http_config": {"allow_write_http_from": [NETWORK]},
        "acl": {
            "enabled": True,
            "default_policy": "deny",
            "tokens": {
                "initial_management": secrets.consul_manager,
                "agent": secrets.consul_agent,
                "config_file_service_registration": secrets.consul_agent,
            },
        },
        "tls": {
            "internal_rpc": {
                **_files("consul"),
                "verify_incoming": True,
                "verify_outgoing": True,
                "verify_server_hostname": True,
            }
        },
    }


def nomad(secrets: Secrets) -> Mapping[str, Any]:
    """Nomad's own settings of a closed cluster."""
    return {
        "acl": {"enabled": True},
        "server": {"encrypt": secrets.nomad_gossip},
        "consul": {"token": secrets.consul_nomad},
        "tls": {"rpc": True, "verify_server_hostname": True, **_files("nomad")},
    }


def _files(name: str) -> dict[str, str]:
    folder = ON_NODE / name
    return {
        "ca_file": f"{folder}/ca.pem",
        "cert_file": f"{folder}/agent.pem",
        "key_file": f"{folder}/agent-key.pem",
    }
