"""From a plan to its target."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.plan import Plan
from loadtest.targets.contract import Target
from loadtest.targets.demo import demo
from loadtest.targets.url import UrlTarget, check_store


@contextmanager
def open_target(plan: Plan, directory: Path) -> Iterator[Target]:
    """The plan's target; what is started for it has its files in `directory`, and is ended.

    Raises TargetUnavailable.
    """
    match plan.target:
        case "demo":
            with demo(plan, directory) as target:
                yield target
        case "cluster" | "vagrant":
            from loadtest.targets.cluster import ClusterTarget  # only who has one needs its clients

            yield ClusterTarget(plan.target)
        case "kubernetes":
            from loadtest.targets.kubernetes import KubernetesTarget

            yield KubernetesTarget()
        case url:
            check_store(plan.store)
            yield UrlTarget(url, plan.store)
