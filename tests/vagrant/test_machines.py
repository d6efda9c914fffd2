"""`vagrant up` and the rest of Vagrant's commands as they are typed, on emulated machines.

From a clean checkout with a warm cache, and without a network: libvirt's namespace has no way out.
What Vagrant prints is shown as it comes. Each test gets three nodes that are well, by another
`vagrant up` if the one before left something else; where they can't be had, the tests that need
them are skipped. So is a test that failed for a machine's slowness alone, with what was measured.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from support.cluster.health import Health, look
from support.cluster.layout import NODES, TRAFFIC_PORT
from support.cluster.up import servers_are_well, traffic_is_taken
from support.namespace import missing as namespaces_missing
from support.venv import provide_venv
from support.virtual import fill
from tests.support.cluster import DOORS, STORE
from tests.support.generator import Generator
from tests.support.http import count, request
from tests.support.scripts import script
from tests.support.verification import Bounds, judged, of_its_runs, settled_counts
from tests.support.waiting import wait_for
from tests.vagrant.libvirt import Libvirt, missing
from tests.vagrant.speed import NEVER, Speed, Watch, judge
from tests.vagrant.summary import errors, figure, is_whole
from webhook.process import REPOSITORY
from webhook.store.audit import stored_ids
from webhook.store.contract import StartError

BOX = "teracompra/node"
PROGRESS = re.compile(r"Progress: \d+%")
SERVICES = "consul cassandra nomad"
LOOK_WITHIN_SECONDS = 15.0
WELL_SECONDS = 1800.0  # a machine that boots has to itself a thirteenth of a core
HOURS = 3600
REASON = namespaces_missing() or missing()

pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
    pytest.mark.timeout(3 * HOURS),
]

Show = Callable[[str], None]
T = TypeVar("T")


class Vagrant:
    """Vagrant, in a checkout of its own, with a home of its own."""

    def __init__(self, libvirt: Libvirt, folder: Path, show: Show) -> None:
        self.libvirt = libvirt
        self.checkout = folder / "teracompra-events"
        self._home = folder / "home"
        self._show = show
        self.given_up = ""
        """Why there are no nodes, once another `vagrant up` has brought none."""
        self._home.mkdir()
        clone = ["git", "clone", "--quiet", str(REPOSITORY), str(self.checkout)]
        subprocess.run(clone, check=True)

    def __call__(self, *arguments: str, code: int | None = 0) -> str:
        """Run a command to its end, and show it; what it printed."""
        settings = {
            "VAGRANT_HOME": str(self._home),
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "TERACOMPRA_BOX": BOX,
            "TERACOMPRA_LIBVIRT_DRIVER": "qemu",
            "TERACOMPRA_CPUS": "1",
        }
        variables = [f"{name}={value}" for name, value in settings.items()]
        command = ["env", f"--chdir={self.checkout}", *variables, "vagrant", *arguments]
        began, lines = time.monotonic(), []
        self._show(f"$ vagrant {' '.join(arguments)}")
        with subprocess.Popen(
            self.libvirt.inside(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "VAGRANT_NO_COLOR": "1"},
            text=True,
        ) as process:
            for line in process.stdout or ():
                if PROGRESS.search(line):  # written over again a thousand times
                    continue
                lines.append(line)
                self._show(f"{time.monotonic() - began:6.0f} s  {line.rstrip()}")
        assert code is None or process.returncode == code, "".join(lines[-40:])
        return "".join(lines)

    def ssh(self, node: str, command: str) -> str:
        """What a command prints that is typed on a node, which must succeed."""
        return self("ssh", node, "--command", command, "--", "-q")

    def pids(self) -> list[str]:
        """The main process of each service of each node."""
        return [
            self.ssh(node.name, f"systemctl show --property=MainPID --value {SERVICES}").strip()
            for node in NODES
        ]


@pytest.fixture(scope="module")
def show(request: pytest.FixtureRequest) -> Show:
    """Prints a line at once, whatever pytest keeps for itself."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def print_(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, flush=True)

    return print_


@pytest.fixture(scope="module")
def created(box: Path, tmp_path_factory: pytest.TempPathFactory, show: Show) -> Iterator[Vagrant]:
    """Vagrant with the box, and with all that nodes run in the cache."""
    folder = tmp_path_factory.mktemp("vagrant")
    provide_venv("loadtest")  # for the load test, which has no network to fetch it from
    fill(folder / "kit", "a box that nobody has")
    (folder / "libvirt").mkdir()
    with Libvirt(folder / "libvirt") as libvirt, libvirt.network():
        vagrant = Vagrant(libvirt, folder, show)
        vagrant("box", "add", "--provider=libvirt", f"--name={BOX}", str(box))
        yield vagrant


@pytest.fixture
def vagrant(created: Vagrant) -> Vagrant:
    """Three nodes that are well. Skips the test where even another `vagrant up` brings none."""
    if created.given_up:
        pytest.skip(created.given_up)
    if not well(look()):
        said = created("up", code=None)
        try:
            await_well()
        except TimeoutError as error:
            last = "\n".join(said.splitlines()[-5:])
            created.given_up = (
                f"needs three nodes, and `vagrant up` left none well: {error}; {last}"
            )
            pytest.skip(created.given_up)
    return created


def keep_up(unsure: int, errors: Mapping[str, int], speed: Speed) -> None:
    """Fail a load that failed, but skip one that was too much for these machines."""
    verdict = judge(unsure, errors, speed)
    words = f"{unsure} events refused or unknown ({dict(errors)}), nothing lost; {speed}"
    assert verdict != "broken", words
    if verdict == "too slow":
        pytest.skip(f"too slow: {words}")


def is_alive() -> object:
    """What a receiver says of its life, through a door."""
    return request("GET", f"{DOORS[0]}/health", seconds=LOOK_WITHIN_SECONDS)


def well(health: Health) -> bool:
    """Whether all of it is well."""
    return servers_are_well(health) and traffic_is_taken(health)


def await_well() -> None:
    """Return when all of it is well."""
    wait_for(lambda: well(look()), "all nodes well", WELL_SECONDS, 2)


def patiently(look: Callable[[], T]) -> T:
    """What `look` gives, once the machines are quick enough for it to answer in time."""

    def attempt() -> tuple[T, ...]:
        try:
            return (look(),)
        except (AssertionError, OSError, StartError):
            return ()

    return wait_for(attempt, "an answer in time", WELL_SECONDS, 2)[0]


def counted(door: str) -> int:
    """The count at a door."""
    return patiently(lambda: count(door)).events


def stored() -> int:
    """How many events with an id are stored."""
    return patiently(lambda: len(set(stored_ids(STORE))))


def test_up_ends_with_three_nodes_that_are_well(created: Vagrant) -> None:
    said = created("up")
    assert "all nodes are well" in said
    await_well()  # a check that was late for once is no illness of the machine
    assert f"webhook    {NODES[0].url(TRAFFIC_PORT)}/" in said
    for node in NODES:
        assert re.search(rf"==> {node.name}: Machine booted and ready", said)


def test_a_node_knows_services_by_name(vagrant: Vagrant) -> None:
    addresses = {node.address for node in NODES}
    found = vagrant.ssh("node-2", "getent ahostsv4 webhook.service.consul")
    assert {line.split()[0] for line in found.splitlines()} <= addresses
    assert found


def test_the_ports_of_node_1_are_this_machine_s_too(vagrant: Vagrant) -> None:  # noqa: ARG001
    for port, path in ((9999, "/ready"), (9998, "/health"), (8500, "/v1/status/leader")):
        assert request("GET", f"http://127.0.0.1:{port}{path}").status == 200
    assert request("GET", "http://127.0.0.1:4646/v1/status/leader").status == 200


def test_jobs_are_run_and_scaled_as_typed_in_the_login_folder(vagrant: Vagrant, show: Show) -> None:
    """1. TGIBF. 2. `nomad job scale webhook 3`.

    Result: every event is acknowledged, stored and counted; three receivers.
    """
    before = counted(DOORS[0])
    options = "-var mode=steady -var rate=20 -var seconds=120"
    with Watch(is_alive) as watch:
        vagrant.ssh("node-1", f"nomad job run {options} tgibf.nomad")
        printed = wait_for(lambda: log(vagrant), "TGIBF's end", 900, 10)
    show(printed)
    acked, unknown = figure(printed, "acked"), figure(printed, "unknown")
    expected = range(before + acked, before + acked + unknown + 1)
    wait_for(lambda: counted(DOORS[2]) in expected, f"a count in {expected}", 60, 1)
    scale(vagrant, 3)
    keep_up(figure(printed, "refused") + unknown, errors(printed), watch.speed)
    assert acked >= 2000


def scale(vagrant: Vagrant, count: int) -> None:
    """Have so many receivers, by the command that users type."""
    if len(look().passing("webhook")) != count:
        vagrant.ssh("node-1", f"nomad job scale webhook {count}")
        wait_for(lambda: len(look().passing("webhook")) == count, f"{count} receivers", 900, 2)


def test_a_load_test_is_valid_and_leaves_its_report(
    vagrant: Vagrant,  # noqa: ARG001
    load_minutes: int,
    tmp_path: Path,
    show: Show,
) -> None:
    directory = tmp_path / "report"
    scale = f"{load_minutes * 18}:4,{load_minutes * 36}:2"  # after 3 and 6 tenths of the time
    load = ["--rate", "20", "--minutes", str(load_minutes), "--scale", scale]
    ended = script("loadtest", "--target", "vagrant", *load, "--report", directory, seconds=HOURS)
    show(ended.stdout)
    show(ended.stderr)
    show(f"the report is in {directory}")
    assert ended.returncode == 0


def test_provisioned_again_nothing_is_changed_or_restarted(vagrant: Vagrant) -> None:
    vagrant("provision")
    before = vagrant.pids()
    said = vagrant("provision")
    for node in NODES:
        assert f"{node.name}: nothing changed" in said
    assert vagrant.pids() == before


def test_a_node_comes_back_from_a_reboot(vagrant: Vagrant) -> None:
    rows = stored()
    vagrant("reload", "node-3")
    await_well()
    assert stored() == rows


def test_a_node_is_halted_and_comes_back_under_load(
    vagrant: Vagrant, tmp_path: Path, show: Show
) -> None:
    """1. Load. 2. `vagrant halt node-2`. 3. `vagrant up node-2`. 4. The load ends.

    Result: nothing that was acknowledged is lost, and every count is the number of rows.
    """
    ledger = tmp_path / "ledger"
    with Generator(DOORS, ledger, "--keep-alive", "--rate", "20") as load:
        load.acknowledge(200, 300)
        vagrant("halt", "node-2")
        load.acknowledge(200, 900)
        vagrant("up", "node-2")
        await_well()
        load.acknowledge(200, 900)
        kinds = load.finish(interrupt=True)["errors"]
        outcomes = load.outcomes()
    for door in DOORS:
        counted(door)  # they may be late; once they answer, they must be right within a minute
    settled_counts(DOORS, STORE)
    ids = patiently(lambda: list(of_its_runs(outcomes, stored_ids(STORE))))
    show(judged(outcomes, ids, Bounds(acknowledged=600, unknown=len(outcomes))))
    assert not [reason for reason in NEVER if kinds.get(reason)], kinds


def test_all_are_halted_and_come_back_by_themselves(vagrant: Vagrant) -> None:
    scale(vagrant, 3)
    rows = stored()
    vagrant("halt")
    vagrant("up", "--no-provision")
    await_well()
    assert len(look().passing("webhook")) == 3
    assert stored() == rows


def test_destroy_leaves_nothing(created: Vagrant) -> None:
    vagrant = created
    vagrant("destroy", "--force")
    assert vagrant.libvirt.virsh("list", "--all", "--name").stdout.split() == []
    assert vagrant.libvirt.virsh("net-list", "--all", "--name").stdout.split() == []
    disks = vagrant.libvirt.virsh("vol-list", "default").stdout
    assert "node-" not in disks.replace("teracompra-VAGRANTSLASH-node_", "")  # that one is the box
    kept = [path for path in (vagrant.checkout / ".vagrant").glob("**/*") if path.is_file()]
    assert [
        path for path in kept if path.name not in {"index_uuid", "vagrant_cwd", "loader.rb"}
    ] == []


def log(vagrant: Vagrant) -> str:
    """What TGIBF has printed, once it has ended."""
    text = vagrant("ssh", "node-1", "--command", "nomad alloc logs -job tgibf", code=None)
    return text if is_whole(text) else ""
