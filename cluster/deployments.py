"""What Nomad does about the last change of a job, and where it needs help.

A *deployment* is how Nomad brings a change about, a change of the count too. While one goes on,
Nomad refuses to scale the job. It fails where an allocation is not well in time, or has no room.
Two things are surprising, each seen with Nomad 1.11.0:

1. A deployment of which nothing has been placed has no deadline, whatever the job says: a new
   version that has no room for its first allocation waits for ever.
2. After one that failed, Nomad places nothing more for the job: not what is missing, when there is
   room again, and no other allocation for one that fails. The next change ends that, also one to
   the same count.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.health import DEPLOYING, ask_nomad
from tools.say import say

PLACED_WITHIN_SECONDS = 60.0
"""Where there is room, something is placed at once."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A job's latest."""

    id: str
    status: str
    why: str
    """Nomad's description of the status."""
    version: int
    """Of the job; it is another one after each change."""
    placed: int
    """Allocations that are part of it."""
    created_at: float
    """Seconds since the epoch."""

    @property
    def goes_on(self) -> bool:
        """Whether Nomad refuses to scale the job."""
        return self.status in DEPLOYING

    @property
    def failed(self) -> bool:
        """Whether Nomad has given up."""
        return self.status == "failed"

    def waits_for_ever(self, now: float) -> bool:
        """Whether it is one that only a person can end, at `now` (seconds since the epoch)."""
        return self.goes_on and not self.placed and now - self.created_at > PLACED_WITHIN_SECONDS


def latest(client: Any, job: str) -> Deployment | None:
    """The job's latest deployment; None if it never had one. For `cluster.health.ask_nomad`."""
    found = client.job.get_deployment(job)
    return deployment_of(found) if found else None


def deployment_of(found: Mapping[str, Any]) -> Deployment:
    """From what Nomad's API has."""
    return Deployment(
        found["ID"],
        found["Status"],
        found["StatusDescription"].partition(" - ")[0],  # then: what it goes back to, or not
        found["JobVersion"],
        sum(group["PlacedAllocs"] for group in found["TaskGroups"].values()),
        found["CreateTime"] / 1e9,
    )


def end_what_waits_for_ever(job: str) -> None:
    """Fail the job's deployment if it would never end: Nomad goes back to the version before."""

    def fail_it(client: Any) -> Deployment | None:
        one = latest(client, job)
        if one is None or not one.waits_for_ever(time.time()):
            return None
        client.deployment.fail_deployment(one.id)
        return one

    if ask_nomad(fail_it):
        say(
            f"gave up the deployment of {job}: no room for its first allocation within "
            f"{PLACED_WITHIN_SECONDS:.0f} s"
        )
