"""`vagrant up` and the rest of Vagrant's commands as they are typed, on emulated machines.

From a clean checkout with a warm cache, and without a network: libvirt's namespace has no way out.
What Vagrant prints is shown as it comes. Each test gets three nodes that are well, by another
`vagrant up` if the one before left something else; where they can't be had, the tests that need
them are skipped. So is a test that failed for a machine's slowness alone, with what was measured.
Their order is kept, random or not: each could be the first, but every `up` takes ten minutes.
"""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from cluster.autoscaling.view import autoscaler_among
from cluster.display import lines
from cluster.health import Health, ask_nomad, look
from cluster.layout import AUTOSCALER, NODES, PROMETHEUS, TRAFFIC_PORT
from cluster.linux.namespace import missing as namespaces_missing
from cluster.nodes.kind import NAMES
from cluster.nodes.virtual import fill
from cluster.up import is_ready, servers_are_well
from harness.cluster import DOORS, Cluster, store_with
from harness.generator import Generator
from harness.http import count, request
from harness.verification import Bounds, judged, of_its_runs, settled_counts
from harness.waiting import wait_for
from tests.support.scripts import script
from tests.vagrant.libvirt import Libvirt, missing
from tests.vagrant.speed import Watch, keep_up, processors, unexplained
from tests.vagrant.summary import errors, figure, is_whole
from tests.vagrant.ways import WAYS, Way
from tools.root import ROOT
from tools.venv import VENV, provide_venv
from webhook.store.audit import stored_ids
from webhook.store.contract import StartError

BOX = "teracompra/node"
PROGRESS = re.compile(r"Progress: \d+%")
LATE = re.compile(r"^.*(?:not well within|Timed out while waiting).*$", re.MULTILINE)
LAST_LINES = 40
SERVICES = "consul cassandra nomad"
LOOK_WITHIN_SECONDS = 15.0
GRACE_SECONDS = 60.0  # a check that was late for once is no illness of the machine
WELL_SECONDS = 1800.0  # a machine that boots has to itself a thirteenth of a core
SCALED_SECONDS = 900.0
RATE = 20
JOB_SECONDS = 120
HOURS = 3600
REASON = namespaces_missing() or missing()

pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
    pytest.mark.timeout(3 * HOURS),
    pytest.mark.random_order(disabled=True),
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
        clone = ["git", "clone", "--quiet", str(ROOT), str(self.checkout)]
        subprocess.run(clone, check=True)
        (self.checkout / ".venv").symlink_to(VENV)  # there is no network to fetch another's from

    def __call__(self, *arguments: str, code: int | None = 0) -> str:
        """Run a command to its end, and show it; what it printed.

        It must exit with `code`, unless that is None. Raises TimeoutError if it says that something
        took too long.
        """
        settings = {
            "VAGRANT_HOME": str(self._home),
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "TERACOMPRA_BOX": BOX,
            "TERACOMPRA_LIBVIRT_DRIVER": "qemu",
            "TERACOMPRA_CPUS": "1",
        }
        variables = [f"{name}={value}" for name, value in settings.items()]
        command = ["env", f"--chdir={self.checkout}", *variables, "vagrant", *arguments]
        began, printed = time.monotonic(), ""
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
                printed += line
                self._show(f"{time.monotonic() - began:6.0f} s  {line.rstrip()}")
        if code is not None and process.returncode != code:
            if late := LATE.search(printed):
                raise TimeoutError(f"`vagrant {' '.join(arguments)}`: {late[0].strip()}")
            raise AssertionError("".join(printed.splitlines(keepends=True)[-LAST_LINES:]))
        return printed

    @property
    def store(self) -> str:
        """The events' URL, with the machines' own secrets."""
        return store_with(self.checkout / ".vagrant" / "access" / "node")

    def ssh(self, node: str, command: str) -> str:
        """What a command prints that is typed on a node, which must succeed."""
        return self("ssh", node, "--command", command, "--", "-q")

    def pids(self) -> list[str]:
        """The main process of each service of each node."""
        return [
            self.ssh(node.name, f"systemctl show --property=MainPID --value {SERVICES}").strip()
            for node in NODES
        ]

    def watch(self) -> Watch:
        """Measures whether the machines keep up."""
        return Watch(
            lambda: processors(self.libvirt.virsh("domstats", "--vcpu").stdout),
            lambda: request("GET", f"{DOORS[0]}/health", seconds=LOOK_WITHIN_SECONDS),
        )


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
    provide_venv("loadtest")
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
    try:
        await_well(GRACE_SECONDS)
    except TimeoutError:
        try:
            # A node whose provisioning failed counts as provisioned; a mere `up` leaves it so.
            created("up", "--provision")
            await_well()
        except (AssertionError, TimeoutError) as error:
            last = "; ".join(line.strip() for line in str(error).splitlines()[-5:])
            created.given_up = f"needs three nodes that are well; `vagrant up` failed: {last}"
            pytest.skip(created.given_up)
    return created


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "way" in metafunc.fixturenames:
        long = metafunc.config.getoption("--long")
        ways = [way for way in WAYS if long or way.short]
        metafunc.parametrize("way", ways, ids=[way.name for way in ways])


def well(health: Health) -> bool:
    """Whether all of it is well, and may be scaled."""
    return servers_are_well(health) and is_ready(health)


def await_well(seconds: float = WELL_SECONDS) -> None:
    """Return when all of it is well."""
    try:
        wait_for(lambda: well(look()), "all nodes well", seconds, 2)
    except TimeoutError as error:
        raise TimeoutError("; ".join([str(error), *lines(look(), NAMES)])) from error


def patiently(look: Callable[[], T], seconds: float = WELL_SECONDS) -> T:
    """What `look` gives, once the machines are quick enough for it to answer in time."""

    def attempt() -> tuple[T, ...]:
        try:
            return (look(),)
        except (AssertionError, OSError, StartError):
            return ()

    return wait_for(attempt, "an answer in time", seconds, 2)[0]


def counted(door: str) -> int:
    """The count at a door."""
    return patiently(lambda: count(door)).events


def stored(vagrant: Vagrant) -> int:
    """How many events with an id are stored."""
    return patiently(lambda: len(set(stored_ids(vagrant.store))))


def test_up_ends_with_three_nodes_that_are_well(created: Vagrant) -> None:
    with created.watch():
        said = created("up")
        assert "all nodes are well" in said
        await_well()
    assert f"webhook    {NODES[0].url(TRAFFIC_PORT)}/" in said
    for node in NODES:
        assert re.search(rf"==> {node.name}: Machine booted and ready", said)


def test_a_node_knows_services_by_name(vagrant: Vagrant) -> None:
    addresses = {node.address for node in NODES}
    found = vagrant.ssh("node-2", "getent ahostsv4 webhook.service.consul")
    assert {line.split()[0] for line in found.splitlines()} <= addresses
    assert found


def test_the_ports_of_node_1_are_this_machine_s_too(vagrant: Vagrant) -> None:
    def answers(port: int, path: str) -> None:
        assert request("GET", f"http://127.0.0.1:{port}{path}").status == 200

    leader = "/v1/status/leader"
    with vagrant.watch():
        for port, path in ((9999, "/ready"), (9998, "/health"), (8500, leader), (4646, leader)):
            patiently(partial(answers, port, path), GRACE_SECONDS)


def test_just_ssh_answers_on_the_network_shared_with_others(vagrant: Vagrant) -> None:
    """Other machines of the same host are on eth0's network, too; this machine asks as they do."""
    shown = vagrant.ssh("node-1", "ip -4 -o address show dev eth0")
    address = shown.split()[3].partition("/")[0]
    ports = (22, 4646, 4647, 8301, 8500, 9042, 9998, 9999)
    assert {port for port in ports if opens(address, port)} == {22}


def opens(address: str, port: int) -> bool:
    """Whether something takes a connection there."""
    try:
        socket.create_connection((address, port), LOOK_WITHIN_SECONDS).close()
    except OSError:
        return False
    return True


def test_a_job_is_run_as_typed_in_the_login_folder(vagrant: Vagrant, show: Show) -> None:
    """TGIBF. Result: every event is acknowledged, stored and counted."""
    before = counted(DOORS[0])
    with vagrant.watch() as watch:
        options = f"-var mode=steady -var rate={RATE} -var seconds={JOB_SECONDS}"
        vagrant.ssh("node-1", f"nomad job run {options} tgibf.nomad")
        wait_for(tgibf_has_ended, "TGIBF's end", 900, 5)
    with vagrant.watch():
        printed = wait_for(lambda: log(vagrant), "TGIBF's summary", 300, 10)
        counted(DOORS[2])  # it may be late; once it answers, it must be right within a minute
    show(printed)
    acked, unknown = figure(printed, "acked"), figure(printed, "unknown")
    expected = range(before + acked, before + acked + unknown + 1)
    wait_for(lambda: counted(DOORS[2]) in expected, f"a count in {expected}", 60, 1)
    keep_up("TGIBF's job", RATE * JOB_SECONDS, acked, errors(printed), watch.speed)


def test_receivers_are_scaled_as_typed(vagrant: Vagrant) -> None:
    with vagrant.watch():
        scale(vagrant, 2)
        scale(vagrant, 3)


def scale(vagrant: Vagrant, count: int) -> None:
    """Have so many receivers, by the command that users type."""
    if Cluster().count() != count:
        # Its exit code is 1 if the node's agent has not heard of the deployment yet.
        vagrant("ssh", "node-1", "--command", f"nomad job scale webhook {count}", code=None)
    await_receivers(count)


def await_receivers(count: int) -> None:
    """Return when just so many receivers take events, and may be scaled."""

    def are_there() -> bool:
        health = look()
        return len(health.passing("webhook")) == count and not health.deploying

    wait_for(are_there, f"{count} receivers", SCALED_SECONDS, 2)


def test_the_count_follows_the_load_once_two_jobs_run(vagrant: Vagrant) -> None:
    def evaluates() -> bool:
        view = autoscaler_among()
        return view is not None and view.evaluates

    with vagrant.watch():
        for name in (PROMETHEUS, AUTOSCALER):
            vagrant.ssh("node-1", f"nomad job run -detach {name}.nomad")
        wait_for(evaluates, "an autoscaler that evaluates", SCALED_SECONDS, 5)
        for name in (AUTOSCALER, PROMETHEUS):
            vagrant.ssh("node-1", f"nomad job stop -detach {name}")


def test_a_load_test_is_valid_and_leaves_its_report(
    vagrant: Vagrant, load_minutes: int, tmp_path: Path, show: Show
) -> None:
    directory = tmp_path / "report"
    scale = f"{load_minutes * 18}:4,{load_minutes * 36}:2"  # after 3 and 6 tenths of the time
    load = ["--rate", str(RATE), "--minutes", str(load_minutes), "--scale", scale]
    load += ["--report", str(directory)]
    with vagrant.watch() as watch:
        # The machines' own checkout has their secrets.
        options = ("--target", "vagrant", *load)
        ended = script("loadtest", *options, seconds=HOURS, checkout=vagrant.checkout)
    show(ended.stdout)
    show(ended.stderr)
    show(f"the report is in {directory}")
    assert ended.returncode == 0
    ran = json.loads((directory / "summary.json").read_text())
    keep_up("the load test", ran["sent"], ran["acked"], ran["errors"], watch.speed)


def test_provisioned_again_nothing_is_changed_or_restarted(vagrant: Vagrant) -> None:
    with vagrant.watch():
        vagrant("provision")
        before = vagrant.pids()
        said = vagrant("provision")
    for node in NODES:
        assert f"{node.name}: nothing changed" in said
    assert vagrant.pids() == before


def test_a_node_comes_back_from_a_reboot(vagrant: Vagrant) -> None:
    with vagrant.watch():
        rows = stored(vagrant)
        vagrant("reload", "node-3")
        await_well()
        assert stored(vagrant) == rows


def test_a_node_is_hurt_and_comes_back_under_load(
    vagrant: Vagrant, way: Way, tmp_path: Path, show: Show
) -> None:
    """1. Load. 2. node-2 is hurt. 3. It is healed. 4. The load ends.

    Result: nothing that was acknowledged is lost, and every count is the number of rows. What goes
    in at node-2 is cut off with its door; elsewhere, if the node says goodbye, there are no errors
    but those of waiting.
    """
    with (
        vagrant.watch(),
        Generator([DOORS[0], DOORS[2]], tmp_path / "staying", "--keep-alive", "--rate=7") as load,
        Generator([DOORS[1]], tmp_path / "hurt", "--keep-alive", "--rate=3") as cut_off,
    ):
        load.acknowledge(100, 300)
        way.begin(vagrant, "node-2")
        try:
            load.acknowledge(100, 900)
        finally:  # `vagrant up` would not undo it
            way.end(vagrant, "node-2")
        await_well()
        load.acknowledge(100, 900)
        kinds = load.finish(interrupt=True)["errors"]
        cut_off.finish(interrupt=True)
        outcomes = {**load.outcomes(), **cut_off.outcomes()}
        for door in DOORS:
            counted(door)  # they may be late; once they answer, they must be right within a minute
    settled_counts(DOORS, vagrant.store)
    ids = patiently(lambda: list(of_its_runs(outcomes, stored_ids(vagrant.store))))
    show(judged(outcomes, ids, Bounds(acknowledged=300, unknown=len(outcomes))))
    show(f"{way.name}: errors at the other doors {kinds}")
    if way.polite:
        assert not unexplained(kinds), kinds


def test_all_are_halted_and_come_back_by_themselves(vagrant: Vagrant) -> None:
    with vagrant.watch():
        scale(vagrant, 3)
        rows = stored(vagrant)
        vagrant("halt")
        vagrant("up", "--no-provision")
        await_well()
        await_receivers(3)
        assert stored(vagrant) == rows


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


def tgibf_has_ended() -> bool:
    """Whether TGIBF's job has, as Nomad says: a login every few seconds would be a load, too."""
    job = ask_nomad(lambda client: client.job.get_job("tgibf"))
    return job is not None and job["Status"] == "dead"


def log(vagrant: Vagrant) -> str:
    """What TGIBF has printed, once it is whole."""
    text = vagrant("ssh", "node-1", "--command", "nomad alloc logs -job tgibf", code=None)
    return text if is_whole(text) else ""
