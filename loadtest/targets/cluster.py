"""The cluster of three nodes: namespaces or virtual machines, with the same addresses and jobs."""

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from artifacts import binaries, cassandra
from cluster.access.secrets import GIVEN, WEBHOOK_LOGIN, Secrets
from cluster.autoscaling.view import autoscaler_among
from cluster.health import Health, Instance, ask_nomad, look
from cluster.layout import AUTOSCALER, NODES, TRAFFIC_PORT, WEBHOOK
from cluster.nodes.virtual import ACCESS
from loadtest.record import AllocationSample
from loadtest.targets.contract import Target, TargetUnavailable

ADVICE = {"cluster": "scripts/cluster up", "vagrant": "vagrant up"}
SECRETS = {"cluster": GIVEN, "vagrant": ACCESS / "node"}


class ClusterTarget(Target):
    """Through the load balancers of all nodes that are well at the start."""

    def __init__(self, name: str) -> None:
        """Raises TargetUnavailable."""
        self.name = name
        health = look([WEBHOOK, "fabio"])
        well = health.nodes_with("fabio")
        self.urls = [node.url(TRAFFIC_PORT) for node in NODES if node.name in well]
        self._passing: list[Instance] = health.passing(WEBHOOK)
        if not self.urls or not self._passing:
            raise TargetUnavailable(
                f"no load balancer, or no webhook, is well in the {name}; {ADVICE[name]}"
            )
        self._secrets = partial(Secrets.read, SECRETS[name])
        self.store = self._store()
        self.known_versions = {
            "Cassandra": cassandra.VERSION,
            **{name.capitalize(): one.version for name, one in binaries.BINARIES.items()},
        }

    def receivers(self) -> Sequence[str]:
        return [f"http://{one.address}" for one in self._passing]

    def allocations(self) -> list[AllocationSample]:
        at = round(time.time(), 3)
        status = ask_nomad(_scale_status, self._secrets)
        if status is None:
            return [AllocationSample(at=at, error="no Nomad answers")]
        health = look([WEBHOOK, AUTOSCALER])
        if not health.consul_leader:
            return [AllocationSample(at=at, error="no Consul answers, or it has no leader")]
        self._passing = health.passing(WEBHOOK)
        by_node = Counter(one.node for one in self._passing)
        return [
            AllocationSample(
                at=at,
                wanted=status["Desired"],
                running=status["Running"],
                passing=len(self._passing),
                by_node=dict(sorted(by_node.items())),
                asked=_asked(health),
            )
        ]

    def scale(self, count: int) -> bool:
        # Nomad refuses during a deployment; the caller asks again.
        wish = {"Count": count, "Target": {"Group": WEBHOOK}, "Message": "load test"}

        def ask(client: Any) -> Any:
            return client.job.request(WEBHOOK, "scale", json=wish, method="post")

        return ask_nomad(ask, self._secrets) is not None

    def _store(self) -> str:
        """The store in the job's own settings. Raises TargetUnavailable."""

        def ask(client: Any) -> str:
            group = client.job.get_job(WEBHOOK)["TaskGroups"][0]
            return str(group["Tasks"][0]["Env"]["WEBHOOK_STORE"])

        store = ask_nomad(ask, self._secrets)
        if store is None:
            raise TargetUnavailable(
                f"no Nomad knows the job {WEBHOOK}; scripts/cluster run {WEBHOOK}"
            )
        return store.replace(
            f"login=/{WEBHOOK_LOGIN}", f"login={SECRETS[self.name] / WEBHOOK_LOGIN}"
        )


def _asked(health: Health) -> int | None:
    """How many allocations the autoscaler was last told to bring about."""
    at = {one.node for one in health.services.get(AUTOSCALER, [])}
    view = autoscaler_among(node for node in NODES if node.name in at)
    return None if view is None else view.wanted


def _scale_status(client: Any) -> Any:
    """See https://developer.hashicorp.com/nomad/api-docs/jobs#read-job-scale-status."""
    return client.job.request(WEBHOOK, "scale", method="get").json()["TaskGroups"][WEBHOOK]
