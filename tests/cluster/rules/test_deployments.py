"""What becomes of a deployment, from what Nomad's API says."""

from typing import Any

import pytest

from cluster.deployments import PLACED_WITHIN_SECONDS, Deployment, deployment_of

CREATED_AT = 1_795_870_000.0


def deployment(**other: Any) -> Deployment:
    group = {"PlacedAllocs": other.pop("placed", 0), "RequireProgressBy": None}
    found = {
        "ID": "6240c18f",
        "Status": "running",
        "StatusDescription": "Deployment is running pending automatic promotion",
        "JobVersion": 6,
        "CreateTime": int(CREATED_AT * 1e9),
        "TaskGroups": {"webhook": group},
    }
    return deployment_of({**found, **other})


@pytest.mark.parametrize("status", ["running", "pending", "initializing", "unblocking"])
def test_what_nothing_is_placed_of_in_time_waits_for_ever(status: str) -> None:
    one = deployment(Status=status)
    assert one.goes_on
    assert not one.waits_for_ever(CREATED_AT + PLACED_WITHIN_SECONDS)
    assert one.waits_for_ever(CREATED_AT + PLACED_WITHIN_SECONDS + 0.1)


def test_nomad_ends_what_it_has_placed_some_of() -> None:
    assert not deployment(placed=1).waits_for_ever(CREATED_AT + 10_000)


@pytest.mark.parametrize("status", ["failed", "successful", "cancelled"])
def test_what_is_over_does_not_wait(status: str) -> None:
    one = deployment(Status=status)
    assert not one.goes_on
    assert not one.waits_for_ever(CREATED_AT + 10_000)
    assert one.failed == (status == "failed")


def test_why_it_failed_is_told_without_what_nomad_did_then() -> None:
    said = "Failed due to progress deadline - not rolling back to stable job version 22 as current"
    assert deployment(StatusDescription=said).why == "Failed due to progress deadline"
