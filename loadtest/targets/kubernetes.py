"""The cluster of scripts/kubernetes, through the webhook's port on each node."""

import time
from collections import Counter
from collections.abc import Sequence

from artifacts import cassandra, kubernetes
from kubelab import nodes, product
from kubelab.layout import TRAFFIC_PORT, LabError
from kubelab.layout import nodes as all_nodes
from loadtest.record import AllocationSample
from loadtest.targets.contract import Target, TargetUnavailable

LOOK_SECONDS = 5.0


class KubernetesTarget(Target):
    """Through the nodes that run at the start."""

    def __init__(self) -> None:
        """Raises TargetUnavailable."""
        self.name = "kubernetes"
        running = [node for node in all_nodes() if nodes.running(node)]
        self.urls = [f"http://{node.address}:{TRAFFIC_PORT}" for node in running]
        try:
            self._ready = [pod for pod in product.pods(product.WEBHOOK) if pod.ready]
            self.store = product.store()
        except LabError as error:
            raise TargetUnavailable(f"no Kubernetes here: {error}") from error
        if not self._ready:
            raise TargetUnavailable("no webhook is ready; scripts/kubernetes status")
        self.known_versions = {
            "Cassandra": cassandra.VERSION,
            "Kubernetes": kubernetes.VERSION,
        }

    def receivers(self) -> Sequence[str]:
        return [pod.url for pod in self._ready]

    def allocations(self) -> list[AllocationSample]:
        at = round(time.time(), 3)
        try:
            found = product.pods(product.WEBHOOK, LOOK_SECONDS)
            wanted = product.wanted(LOOK_SECONDS)
        except LabError as error:
            return [AllocationSample(at=at, error=f"the API: {error}")]
        self._ready = [pod for pod in found if pod.ready]
        by_node = Counter(pod.node for pod in self._ready)
        return [
            AllocationSample(
                at=at,
                wanted=wanted,
                running=sum(pod.running for pod in found),
                passing=len(self._ready),
                by_node=dict(sorted(by_node.items())),
            )
        ]

    def scale(self, count: int) -> bool:
        try:
            product.scale(count)
        except LabError:
            return False  # the caller asks again
        return True
