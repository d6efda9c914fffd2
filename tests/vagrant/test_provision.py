"""node/provision on a machine that boots the box: in a container, which takes seconds.

systemd, the interface, Debian's packages are real, and so are the services.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from artifacts.cache import cache
from cluster.access.secrets import FILE
from cluster.access.settings import close, open_up
from cluster.linux.namespace import Machine, Switch
from cluster.linux.namespace import missing as namespaces_missing
from harness.waiting import wait_for
from tests.vagrant.container import Container, Disk, missing
from tests.vagrant.summary import figure, is_whole

PROVISION = "/opt/teracompra/node/provision"
SERVICES = ("consul", "cassandra", "nomad")
OF_USERS = ("consul", "cassandra")
"""Those that are not root."""
OF_THEIR_USERS = "User|Group|StateDirectory|StateDirectoryMode|UMask|ExecStartPre|LimitMEMLOCK"
HARDENING = "NoNewPrivileges|ProtectSystem|ProtectHome|PrivateTmp"
ACCESS, AGENTS = "/var/lib/teracompra/access", "/var/lib/teracompra/agents"
ALONE = "not there yet: node-2, node-3"
HALT_SECONDS = 80.0  # systemd waits 90 for processes that stay after SIGTERM

REASON = namespaces_missing() or missing()

pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
    pytest.mark.timeout(900),
]


@contextmanager
def machine(disk: Disk, kit: Path, number: int = 1, interface: str = "eth1") -> Iterator[Container]:
    """A machine with a network of its own."""
    with Switch("switch") as switch, plugged(switch, disk, kit, number, interface) as container:
        yield container


@contextmanager
def plugged(
    switch: Switch, disk: Disk, kit: Path, number: int, interface: str = "eth1"
) -> Iterator[Container]:
    """A machine that is plugged into the switch."""
    with Machine(f"node-{number}") as namespaces:
        switch.plug(namespaces, interface, f"192.168.56.1{number}/24")
        with Container(namespaces, kit, disk) as container:
            yield container


def provision(container: Container, number: int = 1) -> list[str]:
    """Provision the machine; what it said that it did."""
    lines = container.output(f"{PROVISION} node-{number}").splitlines()
    return [line.removeprefix("==> ") for line in lines]


def pids(container: Container) -> dict[str, str]:
    """The main process of each service."""
    return {
        service: container.output(f"systemctl show --property=MainPID --value {service}")
        for service in SERVICES
    }


@pytest.fixture(scope="module")
def node(disk: Disk, kit: Path) -> Iterator[Container]:
    """A machine that has been provisioned, for all tests that leave it as it was."""
    with machine(disk, kit) as container:
        first = provision(container)
        assert "this machine is node-1" in first
        assert [line for line in first if line.startswith("started")] == [
            f"started {service}" for service in SERVICES
        ]
        yield container


def test_it_has_the_services_and_they_start_with_the_machine_in_order(node: Container) -> None:
    for service in SERVICES:
        assert node.output(f"systemctl is-active {service}") == "active"
        assert node.output(f"systemctl is-enabled {service}") == "enabled"
    assert {"consul.service", "cassandra.service"} <= {
        *node.output("systemctl show --property=After --value nomad").split()
    }
    wait_for(
        lambda: not node.run("/opt/teracompra/node/bin/check-cql", code=None).returncode,
        "Cassandra's answer",
        120,
        0.5,
    )


def test_consul_and_cassandra_are_users_of_their_own_and_nobody_logs_in_as_them(
    node: Container,
) -> None:
    assert owners(node) == {"consul": "consul", "cassandra": "cassandra", "nomad": "root"}
    for service in OF_USERS:
        assert node.output(f"getent passwd {service}").endswith(
            f"/var/lib/{service}:/usr/sbin/nologin"
        )
        assert node.output(f"find /var/lib/{service} ! -user {service}") == ""
        assert node.output(f"stat --format=%a /var/lib/{service}") == "700"
        status = node.output(f"cat /proc/{pids(node)[service]}/status")
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)


def owners(container: Container) -> dict[str, str]:
    """As whom each service runs."""
    return {
        service: container.output(f"ps -o user:32= -p {pid}")
        for service, pid in pids(container).items()
    }


def test_a_machine_whose_services_were_root_s_hands_over_what_they_have(
    disk: Disk, kit: Path, tmp_path: Path
) -> None:
    """1. A closed machine, with the units of an older version. 2. Those of this one. 3. Again.
    4. Other secrets are copied to it, as root's; it is provisioned. 5. They are copied once more.

    Result: 2 and 4 restart what they must, and everything is as it was, but for the users; each
    reads its own secrets, the newest, and no others.
    """
    units = {name: kit / name / f"{name}.service" for name in OF_USERS}
    new = {name: unit.read_text() for name, unit in units.items()}
    with machine(disk, kit) as container:
        copy_secrets(container, kit, tmp_path / "first")
        for name, unit in units.items():
            text = re.sub(
                rf"^({OF_THEIR_USERS}|{HARDENING})=.*\n", "", new[name], flags=re.MULTILINE
            )
            unit.write_text(text.replace(f"{AGENTS}/{name}", f"{ACCESS}/{name}"))
        try:
            provision(container)
            await_cassandra(container)
            assert {*owners(container).values()} == {"root"}
        finally:
            for name, unit in units.items():
                unit.write_text(new[name])
        before = container.output(IDENTITIES)
        said = provision(container)
        assert [line for line in said if line.startswith("started")] == [
            "started consul",
            "started cassandra",
        ]
        assert owners(container) == {"consul": "consul", "cassandra": "cassandra", "nomad": "root"}
        await_cassandra(container)
        assert container.output(IDENTITIES) == before
        for service in OF_USERS:
            assert container.output(f"find /var/lib/{service} ! -user {service}") == ""
        assert container.output("journalctl -u cassandra | grep -c authenticator=Password") == "2"
        assert provision(container) == ["node-1: nothing changed"]
        reads_its_own(container)
        first = container.output(f"cat {AGENTS}/consul/agent.pem")
        copy_secrets(container, kit, tmp_path / "second")
        assert "started consul" in provision(container)
        assert container.output(f"cat {AGENTS}/consul/agent.pem") != first
        reads_its_own(container)
        container.run(f"chown -R root: {ACCESS} && systemctl restart consul cassandra")
        await_cassandra(container)
        reads_its_own(container)


IDENTITIES = (
    "cat /var/lib/consul/node-id; ls /var/lib/cassandra/data; "
    "export XDG_CACHE_HOME=/opt/teracompra/cache; "
    "/opt/teracompra/node/bin/cassandra nodetool info | grep ^ID"
)


def copy_secrets(container: Container, kit: Path, folder: Path) -> None:
    """What `vagrant up` copies to a closed machine for its agents: other ones each time.

    Without what is for people: each login here would wait for tokens, and so for a leader.
    """
    close(folder)
    (folder / "node" / FILE).unlink()
    copy_access(container, kit, folder)


def copy_access(container: Container, kit: Path, folder: Path) -> None:
    """Copy to the machine what it gets of the folder, as root's."""
    shutil.copytree(folder / "node", kit / "secrets")
    try:
        container.run(f"mkdir -p {ACCESS} && cp -r /opt/teracompra/secrets/. {ACCESS}")
        container.run(f"chown -R root: {ACCESS} && chmod 700 {ACCESS}")
    finally:
        shutil.rmtree(kit / "secrets")


def await_cassandra(container: Container) -> None:
    check = "/opt/teracompra/node/bin/check-cql"
    wait_for(lambda: not container.run(check, code=None).returncode, "Cassandra's answer", 180, 0.5)


def reads_its_own(container: Container) -> None:
    """Each service's user reads its own secrets, changes none, and reads no others."""
    for service, other in (OF_USERS, OF_USERS[::-1]):
        become = f"runuser -u {service} --"
        shown = container.output(f"{become} cat {AGENTS}/{service}/ca.pem")
        assert shown == container.output(f"cat {ACCESS}/{service}/ca.pem")
        for command in (
            f"cat {AGENTS}/{other}/ca.pem",
            f"ls /var/lib/{other}",
            f"cat {ACCESS}/{service}/ca.pem",
            f"cat {ACCESS}/login/webhook",
            f"rm -f {AGENTS}/{service}/ca.pem",
        ):
            refused = container.run(f"{become} {command}", code=None)
            assert "Permission denied" in refused.stderr, command


def test_it_knows_the_others_and_itself_by_name(node: Container) -> None:
    assert node.output("hostname") == "node-1"
    for number in (1, 2, 3):
        shown = node.output(f"getent ahostsv4 node-{number}")
        assert shown.split()[0] == f"192.168.56.1{number}"


def test_its_kernel_has_the_settings(node: Container) -> None:
    assert node.output("cat /proc/sys/net/ipv4/ip_local_port_range") == "32001\t65535"


def test_who_logs_in_finds_the_jobs_and_the_commands(node: Container) -> None:
    found = node.output("su - vagrant -c 'ls *.nomad; command -v nomad consul'").split()
    assert found == [
        *("fabio.nomad", "tgibf.nomad", "webhook.nomad"),
        *("/usr/local/bin/nomad", "/usr/local/bin/consul"),
    ]
    node.run("su - vagrant -c 'nomad fmt -check tgibf.nomad'")


def test_names_in_consul_are_asked_of_consul_and_others_of_the_interface_s_servers(
    node: Container,
) -> None:
    """1. dhclient gets a lease, with its name servers, and tells its hook.

    Result: systemd-resolved has them for all that is not Consul's; its file is not written over.
    """
    lease = "interface=eth1 reason=RENEW new_domain_name_servers=192.168.56.2 new_domain_name=x"
    node.run(f"{lease} sh -c '. /etc/dhcp/dhclient-enter-hooks.d/teracompra; make_resolv_conf'")
    wait_for(lambda: "192.168.56.2" in node.output("resolvectl dns eth1"), "the lease's server")
    assert node.output("resolvectl domain eth1").endswith("~.")
    status = node.output("resolvectl status")
    assert "127.0.0.1:8600" in status.partition("Link")[0]
    assert "~consul" in status.partition("Link")[0]
    assert "nameserver 127.0.0.53" in node.output("cat /etc/resolv.conf").splitlines()


def test_again_nothing_changes_and_nothing_is_restarted(node: Container) -> None:
    before = pids(node)
    assert provision(node) == ["node-1: nothing changed"]
    assert pids(node) == before


def test_the_last_to_come_goes_on_from_there(node: Container) -> None:
    assert ALONE in node.run(f"{PROVISION} node-1").stderr


def test_only_what_has_changed_is_restarted(node: Container, kit: Path) -> None:
    before = pids(node)
    file = kit / "consul" / "consul.hcl"
    file.write_text(f"{file.read_text()}\n# changed\n")
    assert provision(node) == ["started consul"]
    after = pids(node)
    assert {service for service in SERVICES if after[service] != before[service]} == {"consul"}


@pytest.mark.parametrize("arguments", ["", "node-4", "node-1 node-2"])
def test_it_says_how_it_is_to_be_called(node: Container, arguments: str) -> None:
    assert "Usage" in node.run(f"{PROVISION} {arguments}", code=2).stderr


def test_an_interface_of_another_name_becomes_eth1_for_good(disk: Disk, kit: Path) -> None:
    with machine(disk, kit, interface="enp0s8") as container:
        written = "auto enp0s8\\niface enp0s8 inet static\\n  address 192.168.56.11/24\\n"
        container.run(f"printf '{written}' >> /etc/network/interfaces")
        assert "enp0s8 is now eth1" in provision(container)
        assert "192.168.56.11/24" in container.output("ip -brief address show eth1")
        assert "Name=eth1" in container.output("cat /etc/systemd/network/70-teracompra.link")
        assert "enp0s8" not in container.output("cat /etc/network/interfaces")
        assert "node-1: nothing changed" in provision(container)


def test_without_an_address_it_says_what_to_do(disk: Disk, kit: Path) -> None:
    with machine(disk, kit, number=2) as container:
        refused = container.run(f"{PROVISION} node-1", code=1)
    assert "no interface has the address 192.168.56.11; vagrant reload node-1" in refused.stderr


def test_packages_that_the_box_lacks_come_from_the_host_where_it_has_them(
    disk: Disk, kit: Path
) -> None:
    """There is no network but the switch."""
    kept = sorted((cache() / "debian").glob("systemd-resolved_*.deb"))
    if not kept:
        pytest.skip("the package is not in the cache any more")
    with machine(disk, kit) as container:
        container.run("apt-get remove -y systemd-resolved")
        refused = container.run(f"{PROVISION} node-1", code=1)
        assert "this box lacks systemd-resolved" in refused.stderr
        assert "scripts/box" in refused.stderr
        (kit / "debian").mkdir()
        shutil.copy(kept[-1], kit / "debian")
        try:
            assert "installed systemd-resolved" in provision(container)
        finally:
            shutil.rmtree(kit / "debian")
        assert container.output("systemctl is-active systemd-resolved") == "active"


def test_three_machines_become_a_cluster(disk: Disk, kit: Path, tmp_path: Path) -> None:
    """1. Each is provisioned, one after the other. 2. Three receivers. 3. TGIBF. 4. All again.
    5. A machine is shut down.

    Result: the last one has made it a cluster, which counts what it has stored; and nothing is
    restarted. The one that goes down ends its allocations, and does not wait for Nomad's executors.
    """
    with Switch("switch") as switch, ExitStack() as stack:
        nodes = [stack.enter_context(plugged(switch, disk, kit, number)) for number in (1, 2, 3)]
        open_up(tmp_path)
        for node in nodes:
            copy_access(node, kit, tmp_path)
        said = [
            node.run(f"{PROVISION} node-{number}").stderr for number, node in enumerate(nodes, 1)
        ]
        assert ALONE in said[0]
        assert "not there yet: node-3" in said[1]
        assert "all nodes are well" in said[2]
        first = nodes[0]
        assert scaled(first, 3)
        options = "-var mode=steady -var rate=200 -var seconds=10"
        first.run(f"su - vagrant -c 'nomad job run {options} tgibf.nomad'")
        wait_for(lambda: is_whole(log(first)), "TGIBF's end", 120, 1)
        acked, unknown = figure(log(first), "acked"), figure(log(first), "unknown")
        asked_for = "curl -s http://webhook.service.consul:9999/events/count"
        counted = json.loads(nodes[2].output(asked_for))["count"]
        assert 1900 <= acked <= counted <= acked + unknown
        before = [pids(node) for node in nodes]
        for number, node in enumerate(nodes, start=1):
            assert provision(node, number) == [f"node-{number}: nothing changed"]
        assert [pids(node) for node in nodes] == before
        entries = "curl -s http://127.0.0.1:8500/v1/catalog/service/webhook"
        assert '"Node":"node-3"' in first.output(entries)
        nodes[2].power_off(HALT_SECONDS)
        assert '"Node":"node-3"' not in first.output(entries)


def scaled(container: Container, count: int) -> bool:
    """Whether Nomad took the number of receivers."""
    command = f"su - vagrant -c 'nomad job scale webhook {count}'"
    return not container.run(command, code=None).returncode


def log(container: Container) -> str:
    """What TGIBF has printed."""
    return container.run("nomad alloc logs -job tgibf", code=None).stdout
