"""The cluster of three nodes, controlled by the command that users type, and its state.

    cluster = Cluster()
    cluster.up()
    cluster.scale(5)
    cluster.kill(NODES[0])
    cluster.start(NODES[0])
    cluster.down()

There is one set of addresses, so one cluster per machine. All users share its store, so a verdict
uses the ids of its run's own ledger.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.access.secrets import GIVEN, WEBHOOK_LOGIN
from cluster.findings import findings, gather
from cluster.health import Health, Instance, ask_nomad, look
from cluster.layout import (
    HOST_INTERFACE,
    NODES,
    STATE,
    TRAFFIC_PORT,
    ClusterError,
    Node,
)
from cluster.nodes import namespaces
from cluster.nodes.namespaces import running_nodes
from cluster.spreading import spread
from cluster.up import all_is_well
from harness.http import request
from harness.processes import in_network, network_of
from harness.waiting import wait_for
from tools.root import ROOT

COMMAND = ROOT / "scripts" / "cluster"
DOORS = [node.url(TRAFFIC_PORT) for node in NODES]
"""The front door of each node."""
COMMAND_SECONDS = 1500  # programs that are not in the cache yet are built
WELL_SECONDS = 180.0
DEPLOY_SECONDS = 180.0
ELECTION_SECONDS = 30.0  # without a leader there is no answer
LOG_LINES = 20


def store_with(access: Path) -> str:
    """The events' URL for who has the cluster's secrets in the folder `access`."""
    hosts = ",".join(node.address for node in NODES)
    return f"cassandra://{hosts}/teracompra?login={access / WEBHOOK_LOGIN}"


STORE = store_with(GIVEN)


class Cluster:
    """The cluster of this checkout, whether it runs or not."""

    doors = DOORS
    store = STORE

    @property
    def runs(self) -> bool:
        """Whether somebody has started it."""
        return bool(namespaces.running(namespaces.SWITCH))

    # The command

    def command(
        self, *arguments: str, code: int | None = 0, typed: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run scripts/cluster to its end, with `typed` as its input; it must exit with `code`."""
        return run([str(COMMAND), *arguments], code=code, typed=typed)

    def up(self, *, autoscaling: bool = False) -> None:
        """Start what does not run, and by default stop what would undo `scale`."""
        options = [] if autoscaling else ["--no-autoscaling"]
        done = self.command("up", *options, code=None)
        assert done.returncode == 0, f"{done.stderr}\n{self.logs()}"

    def down(self) -> None:
        """End it; nothing of it may be left."""
        networks = [network_of(namespaces.running(node.name)) for node in NODES]
        networks.append(network_of(namespaces.running(namespaces.SWITCH)))
        self.command("down")
        left = leftovers([network for network in networks if network])
        assert not left, "\n".join(left)

    def kill(self, node: Node) -> None:
        """End everything on a node at once."""
        self.command("kill", node.name)

    def start(self, node: Node) -> None:
        """Start a node, without waiting for it."""
        self.command("start", node.name)

    def nomad(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `nomad` as a user does on this machine: in `nomad/`, told by `env` where to ask."""
        script = 'eval "$("$0" env)" && cd nomad && exec nomad "$@"'
        return run(["bash", "-c", script, str(COMMAND), *arguments], code=code)

    def scale(self, count: int) -> float:
        """Have `count` allocations of the webhook; how many seconds it took until all pass."""
        began = time.monotonic()
        if self.count() != count:
            wait_for(lambda: self._scaled(count), "the end of another deployment", 180, 1)
        self.await_passing(count)
        return time.monotonic() - began

    def _scaled(self, count: int) -> bool:
        done = self.nomad("job", "scale", "webhook", str(count), code=None)
        if "active deployment" in done.stdout + done.stderr:
            return False
        assert done.returncode == 0, done.stdout + done.stderr
        return True

    def deploy(self, version: str, code: int = 0) -> float:
        """Roll out a version; how many seconds it took."""
        began = time.monotonic()
        options = ["-preserve-counts", "-var", f"version={version}"]
        self.command("run", *options, "webhook", code=code)
        return time.monotonic() - began

    # What it says

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What a Nomad says, by a python-nomad client, as soon as one has an answer."""

        def answers() -> list[Any]:
            answer = ask_nomad(question)
            return [] if answer is None else [answer]

        return wait_for(answers, "an answer from Nomad", ELECTION_SECONDS, 0.2)[0]

    def count(self) -> int:
        """How many allocations of the webhook Nomad has been told to run."""
        job = self.ask(lambda client: client.job.get_job("webhook"))
        return int(job["TaskGroups"][0]["Count"])

    def health(self) -> Health:
        """What Consul and Nomad say of all parts."""
        return look()

    def passing(self) -> list[Instance]:
        """The allocations of the webhook whose checks pass."""
        return look(("webhook",)).passing("webhook")

    def everywhere(self) -> list[str]:
        """Every living allocation's own URL, and each front door as often as there are any.

        A front door hands its connections to the allocations in turn.
        """
        urls = [f"http://{one.address}" for one in self.passing()]
        return [*urls, *(door for door in DOORS for _ in urls)]

    def pids(self) -> dict[str, dict[int, str]]:
        """The command lines of the lasting processes of each node, by process number."""
        return {
            node.name: {
                pid: line
                for pid, line in processes_on(node).items()
                if any(word in line for word in ("/bin/", "-m webhook"))
                and "/node/bin/" not in line
            }
            for node in NODES
        }

    def logs(self) -> str:
        """The end of each log of the nodes."""
        return "\n".join(
            f"--- {path}\n" + "\n".join(_last_lines(path))
            for path in sorted(STATE.glob("node-*/log/*.log"))
        )

    # Waiting

    def await_passing(self, count: int, without: Node | None = None) -> None:
        """Return when just `count` allocations pass, none of them on the node `without`."""

        def pass_() -> bool:
            nodes = [one.node for one in self.passing()]
            return len(nodes) == count and (without is None or without.name not in nodes)

        wait_for(pass_, f"{count} allocations of the webhook", WELL_SECONDS, 0.25)

    def await_doors(self, without: Node) -> None:
        """Return when the front doors of the other nodes take every connection."""
        doors = [node.url(TRAFFIC_PORT) for node in NODES if node != without]
        turns = 2 * self.count()  # each allocation twice
        wait_for(
            lambda: all(_is_ready(door) for door in doors for _ in range(turns)),
            f"service without {without.name}",
            WELL_SECONDS,
        )

    def await_well(self) -> None:
        """Return when every part of every node is well, and as many allocations as told to run."""

        def well() -> bool:
            health, running = look(), running_nodes()
            return all_is_well(health, findings(health, gather(running), running))

        wait_for(well, "all nodes well", WELL_SECONDS, 0.5)

    def restore(self) -> None:
        """Start what a test has left dead, and wait until all is well, and allocations are even."""
        for node in NODES:
            if node.name not in running_nodes():
                self.start(node)
        self.await_well()
        with suppress(ClusterError):  # it is tried; a test that needs it says so
            spread()


def processes_on(node: Node) -> dict[int, str]:
    """The command lines of the node's processes, by process number; none if it is down."""
    network = network_of(namespaces.running(node.name))
    return in_network(network) if network else {}


def run(
    command: Sequence[str],
    *,
    code: int | None = 0,
    typed: str | None = None,
    seconds: float = COMMAND_SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository to its end; it must exit with `code`, unless that is None."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    shown = f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert code is None or done.returncode == code, shown
    return done


def leftovers(networks: Sequence[int]) -> list[str]:
    """What a cluster has left on this machine, whose nodes had these network namespaces."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    return [
        *(line for network in networks for line in in_network(network).values()),
        *(line for line in mounts if str(STATE) in line or "/opt/teracompra" in line),
        *(str(path) for path in [STATE, Path("/sys/class/net", HOST_INTERFACE)] if path.exists()),
        # On version 1 of control groups each controller has a tree of its own.
        *(str(path) for at in ("", "*/") for path in Path("/sys/fs/cgroup").glob(f"{at}nomad*")),
    ]


def _is_ready(url: str) -> bool:
    try:
        return request("GET", f"{url}/ready", seconds=2).status == 200
    except OSError:
        return False


def _last_lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()[-LOG_LINES:]
