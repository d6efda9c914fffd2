"""The cluster of Kubernetes, controlled by the commands that users type, and its state.

    lab = Lab()
    lab.up(1)
    lab.kubectl("scale", "deployment/webhook", "--replicas=4")
    lab.down()

There is one set of addresses, so one such cluster per machine. It may run beside the cluster of
`harness.cluster`.
"""

import subprocess
from pathlib import Path

from harness.cluster import run
from harness.processes import in_network, network_of
from harness.waiting import wait_for
from kubelab import kubectl, product
from kubelab.host import GROUPS
from kubelab.layout import GROUP, HOST_INTERFACE, NAMESPACE, STATE, TRAFFIC_PORT, nodes
from kubelab.nodes import RECORDS, SWITCH
from tools.root import ROOT

COMMAND = ROOT / "scripts" / "kubernetes"
COMMAND_SECONDS = 2400  # Kubernetes is built if it is not in the cache yet
WELL_SECONDS = 180.0


class Lab:
    """The cluster of this checkout, whether it runs or not."""

    @property
    def runs(self) -> bool:
        """Whether somebody has started it."""
        return bool(nodes())

    @property
    def doors(self) -> list[str]:
        """The webhook's port on each node."""
        return [f"http://{node.address}:{TRAFFIC_PORT}" for node in nodes()]

    @property
    def store(self) -> str:
        """The ring, by the addresses that its pods have now."""
        return product.store()

    def everywhere(self) -> list[str]:
        """Each receiver's own URL, and each door as often as there are any."""
        urls = [pod.url for pod in product.pods(product.WEBHOOK) if pod.ready]
        return [*urls, *(door for door in self.doors for _ in urls)]

    # The commands

    def command(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run scripts/kubernetes to its end; it must exit with `code`."""
        return run([str(COMMAND), *arguments], code=code, seconds=COMMAND_SECONDS)

    def up(self, count: int) -> str:
        """Start what does not run; what the command said."""
        return self.command("up", str(count)).stderr

    def down(self) -> None:
        """End it; nothing of it may be left."""
        names = [*(node.name for node in nodes()), SWITCH]
        networks = [network_of(RECORDS.pid(name)) for name in names]
        self.command("down")
        left = leftovers([network for network in networks if network])
        assert not left, "\n".join(left)

    def kubectl(self, *arguments: str, code: int | None = 0) -> str:
        """Run kubectl in the product's namespace; what it prints, errors included."""
        done = kubectl.run("--namespace", NAMESPACE, *arguments)
        said = f"{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, f"{' '.join(arguments)}: {said}"
        return said

    # Waiting

    def await_ready(self, app: str, count: int) -> None:
        """Return when there are just `count` pods of a part, and all take traffic."""

        def ready() -> bool:
            pods = product.pods(app)
            return len(pods) == count and all(pod.ready for pod in pods)

        wait_for(ready, f"{count} pods of {app}", WELL_SECONDS, 0.5)


def leftovers(networks: list[int]) -> list[str]:
    """What a cluster has left on this machine, whose nodes had these network namespaces."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    groups = [*GROUPS.glob(GROUP), *GROUPS.glob(f"*/{GROUP}")]
    paths = [STATE, Path("/sys/class/net", HOST_INTERFACE)]
    return [
        *(line for network in networks for line in in_network(network).values()),
        *(line for line in mounts if str(STATE) in line),
        *(str(path) for path in paths if path.exists()),
        *(str(group) for group in groups),
    ]
