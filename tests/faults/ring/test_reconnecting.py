"""A receiver finds its ring again, whatever happened to either."""

import shutil
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cluster.access.secrets import write_private
from harness.ring import SHORT_LIVED, Node, Ring
from harness.stores import new_store
from harness.waiting import wait_for
from tests.support.checked_receiver import EVENT, Receiver
from tests.support.hosts_file import HostsFile
from tests.support.locked_ring import PASSWORDS, LockedRing
from webhook.store.audit import stored
from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import StartError

PASSWORD = "of-the-app"
BACK_SECONDS = 30  # from the moment that the ring can be used again


def detail(receiver: Receiver) -> str:
    """What /ready says of why it is not; empty if it is."""
    return str(receiver.get("/ready").json.get("detail", ""))


@pytest.fixture
def hosts(tmp_path: Path) -> HostsFile:
    return HostsFile(tmp_path / "hosts")


@pytest.fixture
def locked(tmp_path: Path, no_shared_ring: None) -> Iterator[LockedRing]:  # noqa: ARG001 - frees the addresses
    """A node that wants a password, with a role `app` that may do all in the keyspace `locked`."""
    with LockedRing(tmp_path / "ring", settings=PASSWORDS, jvm_options=SHORT_LIVED) as ring:
        make_role(ring)
        ring.administer("GRANT ALL ON KEYSPACE locked TO app")
        yield ring


def make_role(ring: LockedRing) -> None:
    """A role `app`, and the tables in the keyspace `locked`."""
    ring.apply_schema("locked")
    ring.administer(f"CREATE ROLE IF NOT EXISTS app WITH PASSWORD = '{PASSWORD}' AND LOGIN = true")


def set_password(ring: LockedRing, password: str) -> None:
    """Give the role `app` another password; who is logged in stays so."""
    ring.administer(f"ALTER ROLE app WITH PASSWORD = '{password}'")


def test_a_log_in_refused_while_reconnecting(locked: LockedRing, tmp_path: Path) -> None:
    """The driver gives a host up for good when it refuses a log-in once."""
    login = tmp_path / "login"
    login.touch(0o600)
    login.write_text(f"app {PASSWORD}\n")
    url = f"cassandra://{locked.hosts[0]}/locked?login={login}"
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        receiver.post_many(10)

        # 1. The password is rotated, and the node restarts: whoever reconnects is refused.
        set_password(locked, "rotated")
        locked.kill(1)
        locked.start_node(1)
        locked.wait_up()
        until = time.monotonic() + 8
        wait_for(lambda: time.monotonic() >= until, "eight seconds of refusals")
        assert receiver.post(EVENT).status == 503
        reason = detail(receiver)

        # 2. The receiver is told the new one.
        login.write_text("app rotated\n")
        wait_for(receiver.ready, "ready again, by itself", BACK_SECONDS)

        # Result: events are taken and counted; the reason was named.
        receiver.post_many(10)
        assert receiver.count() == 20
        assert "credentials" in reason, reason
        assert "credentials" in receiver.log, receiver.log
        assert PASSWORD not in receiver.log + reason


def test_a_login_that_is_another_role_s_now(locked: LockedRing, tmp_path: Path) -> None:
    """Connections stay whose they are; the receiver has others before the role goes.

    1. The file names a role that is refused: all goes on as it was.
    2. It names one that may do the same: nobody is connected as the former any more.
    3. The former is dropped, which takes the rights of whoever still is.
    Result: each event was taken and is counted.
    """
    login = tmp_path / "login"
    write_private(login, f"app {PASSWORD}\n")
    url = f"cassandra://{locked.hosts[0]}/locked?login={login}"
    with Receiver(url) as receiver:
        wait_for(receiver.ready, "ready", 30)
        posted = 0

        def is_used(role: str) -> bool:
            nonlocal posted
            receiver.post_many(10)
            posted += 10
            return role in users(locked)

        # 1.
        write_private(login, "other not-yet\n")
        wait_for(lambda: "credentials" in receiver.log, "a refusal", 30)
        assert is_used("app")
        # 2.
        locked.administer(
            "CREATE ROLE IF NOT EXISTS other WITH PASSWORD = 'of-the-other' AND LOGIN = true",
            "GRANT SELECT ON KEYSPACE locked TO other",
            "GRANT MODIFY ON KEYSPACE locked TO other",
        )
        write_private(login, "other of-the-other\n")
        wait_for(lambda: not is_used("app"), "nobody as the former role", BACK_SECONDS)
        assert is_used("other")
        # 3.
        locked.administer("DROP ROLE IF EXISTS app")
        until = time.monotonic() + 4  # a node forgets what a role may do in 2 s
        wait_for(lambda: is_used("other") and time.monotonic() >= until, "four seconds without it")
        assert receiver.count() == posted
        assert not {PASSWORD, "of-the-other"} & set(receiver.log.split())


def users(ring: LockedRing) -> set[str]:
    """The roles as which anybody is connected."""
    with ring.session() as session:
        return {
            row.username for row in session.execute("SELECT username FROM system_views.clients")
        }


@pytest.mark.usefixtures("at_length", "no_shared_ring")
def test_nodes_that_refuse_log_ins_until_the_role_s_owner_is_there(tmp_path: Path) -> None:
    """The role is on one node only: the two others, started before it, can't look it up."""
    settings = {"authenticator": "PasswordAuthenticator"}  # permissions would need the owner, too
    with LockedRing(tmp_path, nodes=3, settings=settings, jvm_options=SHORT_LIVED) as ring:
        make_role(ring)
        address = ring.nodetool(1, "getendpoints", "system_auth", "roles", "app").strip()
        owner = 1 + ring.hosts.index(address)
        others = [node for node in ring.nodes if node != owner]
        with Receiver(f"cassandra://app:{PASSWORD}@{','.join(ring.hosts)}/locked") as receiver:
            wait_for(receiver.ready, "ready", 30)
            receiver.post_many(10)

            # 1. All nodes end; the role's owner is the last that starts.
            for node in ring.nodes:
                ring.kill(node)
            for node in others:
                ring.start_node(node)
            for node in others:
                wait_for(partial(listens, ring.nodes[node].host), "its port", 120)
            until = time.monotonic() + 8
            wait_for(lambda: time.monotonic() >= until, "eight seconds of refusals")
            assert not receiver.ready()
            ring.start_node(owner)
            ring.wait_up()

            # 2. It is connected to all of them: any one may go.
            connected = "webhook_ring_connected_nodes"
            wait_for(receiver.ready, "ready again, by itself", BACK_SECONDS)
            wait_for(lambda: receiver.metric(connected) == 3, "all nodes", BACK_SECONDS)
            ring.kill(owner)
            wait_for(lambda: receiver.post(EVENT).status == 200, "events are taken", BACK_SECONDS)


def listens(host: str) -> bool:
    """Whether Cassandra takes clients there."""
    with socket.socket() as trying:
        trying.settimeout(1)
        return trying.connect_ex((host, 9042)) == 0


def test_a_name_that_can_not_be_looked_up_at_the_start(lone_node: Ring, hosts: HostsFile) -> None:
    url = new_store(lone_node).replace(lone_node.hosts[0], "ring-a,ring-b")
    with Receiver(url, command=hosts.command) as receiver:
        wait_for(lambda: "ring-a" in detail(receiver), "the name in the reason", 30)
        assert receiver.post(EVENT).status == 503
        assert receiver.get("/health").status == 200
        hosts.set({"ring-b": lone_node.hosts[0]})
        wait_for(receiver.ready, "ready, by itself", BACK_SECONDS)
        receiver.post_many(10)
        assert receiver.count() == 10


@pytest.mark.usefixtures("no_shared_ring")
def test_all_addresses_behind_a_name_change(tmp_path: Path, hosts: HostsFile) -> None:
    before = Ring(tmp_path / "before", jvm_options=SHORT_LIVED)
    after = Ring(tmp_path / "after", jvm_options=SHORT_LIVED)
    after.nodes = {2: Node(2, tmp_path / "after")}
    hosts.set({"ring": before.hosts[0]})
    with Receiver("cassandra://ring/moved", command=hosts.command) as receiver:
        with before:
            before.apply_schema("moved")
            wait_for(receiver.ready, "ready", 30)
            receiver.post_many(10)
        assert receiver.post(EVENT).status == 503
        shutil.move(tmp_path / "before" / "node-1", after.nodes[2].directory)
        with after:
            hosts.set({"ring": after.hosts[0]})
            wait_for(receiver.ready, "ready again, by itself", BACK_SECONDS)
            receiver.post_many(10)
            moved = f"cassandra://{after.hosts[0]}/moved"
            assert receiver.count() == len(stored(moved)) == 20


@pytest.mark.parametrize("host", ["ring..a", "a" * 64])
def test_a_name_that_never_can_be_looked_up_stops_the_start(host: str) -> None:
    """Looking it up would be a UnicodeError, which nobody expects of a name."""
    with pytest.raises(StartError, match="is neither a host name"):
        RingSettings.from_url(f"cassandra://node-1,{host}/teracompra")
