"""The secrets of a closed cluster, and where they are.

On the operator's machine they are beside the cluster's other state, for its owner alone:

    ca/      the keys that sign certificates, which no node gets
    node/    what every node gets, as /var/lib/teracompra/access (empty for an open cluster):
        secrets.json
        consul/ nomad/ cassandra/   settings, certificate and key of each agent (`settings`)
        login/webhook       who receivers are to Cassandra, empty where it asks nobody

    On a node all of it is root's. Agents that are not root have theirs once more, as
    /var/lib/teracompra/agents/NAME (`node/give_secrets.py`).

    operator            the token of who works on the cluster

Nothing of it is in the kit, in a job, in an argument or in a log.
"""

import base64
import json
import os
import secrets
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from cluster.layout import ON_NODES, STATE, ClusterError
from tools.root import ROOT

ON_NODE = Path("/var/lib/teracompra/access")
AGENTS_OWN = Path("/var/lib/teracompra/agents")
"""On a node: what agents that are not root have of it, each in a folder of its own."""
KEPT = STATE / "access"
"""On the operator's machine, for nodes made of namespaces."""
GIVEN = ON_NODE if ROOT == ON_NODES else KEPT / "node"
"""What nodes get, as the caller's machine has it."""
FILE = "secrets.json"
WEBHOOK_LOGIN = Path("login") / "webhook"
"""In `GIVEN`; every task of the webhook has it as /login/webhook."""
MANAGER, WEBHOOK = "manager", "webhook"
"""Cassandra's roles: for everything, and for reading and writing events. As they are called first:
others take turns with them (`Secrets.in_turn`)."""
SECOND = "2"
GOSSIP_BYTES = 32  # AES-256


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys and tokens of one cluster."""

    consul_gossip: str
    """Base64."""
    consul_manager: str
    """A token for everything."""
    consul_agent: str
    """The agents' own: nodes, and the services of their configuration."""
    consul_nomad: str
    """Nomad's: the services of its allocations."""
    consul_operator: str
    """For who works on the cluster."""
    nomad_gossip: str
    """Base64."""
    nomad_manager: str
    """A token for everything."""
    cassandra_manager: str = ""
    """The password of that role; empty in the secrets of clusters from before there was one."""
    cassandra_webhook: str = ""
    cassandra_manager_role: str = MANAGER
    """A name, and no secret; nor is the next one."""
    cassandra_webhook_role: str = WEBHOOK

    @classmethod
    def new(cls) -> Self:
        """Random ones."""
        return cls(
            consul_gossip=new_key(),
            consul_manager=new_token(),
            consul_agent=new_token(),
            consul_nomad=new_token(),
            consul_operator=new_token(),
            nomad_gossip=new_key(),
            nomad_manager=new_token(),
            cassandra_manager=new_password(),
            cassandra_webhook=new_password(),
        )

    @classmethod
    def read(cls, folder: Path | None = None) -> Self | None:
        """Those in `folder`, by default this machine's; None if the cluster is open.

        None as well for who may not read them: an ordinary user, who may look and no more.
        """
        try:
            return cls(**json.loads(((folder or GIVEN) / FILE).read_text()))
        except (FileNotFoundError, PermissionError):
            return None

    @classmethod
    def needed(cls) -> Self:
        """Those of a cluster that is closed. Raises ClusterError if it is open."""
        found = cls.read()
        if found is None:
            raise ClusterError("the cluster is open: it has no keys; scripts/cluster up --closed")
        return found

    @property
    def manager_login(self) -> tuple[str, str] | None:
        """User and password of Cassandra's manager; None where Cassandra asks nobody."""
        if not self.cassandra_manager:
            return None
        return self.cassandra_manager_role, self.cassandra_manager

    @property
    def webhook_login(self) -> tuple[str, str]:
        """User and password of the receivers."""
        return self.cassandra_webhook_role, self.cassandra_webhook

    def in_turn(self) -> Self:
        """The same, with the other two of Cassandra's roles, and new passwords of theirs."""
        return replace(
            self,
            cassandra_manager=new_password(),
            cassandra_webhook=new_password(),
            cassandra_manager_role=other_role(self.cassandra_manager_role),
            cassandra_webhook_role=other_role(self.cassandra_webhook_role),
        )

    def write(self, folder: Path) -> None:
        """Keep them in `folder`, for its owner alone."""
        write_private(folder / FILE, json.dumps(asdict(self), indent=2))


def write_private(file: Path, text: str, mode: int = 0o600, group: int = -1) -> None:
    """Write a file that only its owner can read, all of it at once.

    In a folder that nobody else may enter it can have another `mode`: for tasks that get it by a
    mount. With a `group` (its number) it is that one's.
    """
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(text)
    os.chown(new, -1, group)
    new.chmod(mode)
    new.replace(file)


def new_key() -> str:
    """A random key for gossip, in Base64."""
    return base64.b64encode(secrets.token_bytes(GOSSIP_BYTES)).decode()


def new_password() -> str:
    """A random password, of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(GOSSIP_BYTES)


def other_role(name: str) -> str:
    """The name that takes turns with this one: `webhook` and `webhook2`."""
    return name.removesuffix(SECOND) if name.endswith(SECOND) else f"{name}{SECOND}"


def new_token() -> str:
    """A random token, as Consul and Nomad write theirs."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
