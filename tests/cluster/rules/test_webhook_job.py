"""The webhook's job file: a deployment ends soon, by deadlines that Nomad takes."""

import re
from typing import Any

import hcl2
import pytest

from cluster.nodes.virtual import PATIENT
from tools.root import ROOT

UNITS = {"s": 1, "m": 60, "h": 3600}
ENDS_WITHIN_SECONDS = 60


def seconds(duration: str) -> int:
    """As Go reads a duration: the sum of its parts."""
    parts = re.findall(r"(\d+)([smh])", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def block(within: Any, kind: str, name: str = "") -> Any:
    """The block of this kind and label. The parser leaves the quotes around a label."""
    for one in within[kind]:
        if not name:
            return one
        if f'"{name}"' in one:
            return one[f'"{name}"']
    raise AssertionError(f"no {kind} {name}")


@pytest.fixture(scope="module")
def document() -> Any:
    return hcl2.loads((ROOT / "nomad" / "webhook.nomad").read_text())


@pytest.fixture(scope="module")
def default(document: Any) -> str:
    """That of `healthy_deadline`."""
    return str(block(document, "variable", "healthy_deadline")["default"].strip('"'))


def deadlines(document: Any, healthy: str) -> tuple[int, int]:
    """The healthy and the progress deadline, in seconds, with this variable."""
    update = block(block(document, "job", "webhook"), "update")
    words = [update["healthy_deadline"], update["progress_deadline"].strip('"')]
    one, other = (seconds(word.replace("${var.healthy_deadline}", healthy)) for word in words)
    return one, other


def test_a_deployment_that_can_not_end_is_given_up_within_a_minute(
    document: Any, default: str
) -> None:
    healthy, progress = deadlines(document, default)
    assert healthy < progress <= ENDS_WITHIN_SECONDS


def test_the_progress_deadline_follows_the_healthy_one(document: Any) -> None:
    """Emulated machines have another; Nomad refuses a job whose progress deadline is no longer."""
    (patient,) = (word.partition("=")[2] for word in PATIENT if "=" in word)
    healthy, progress = deadlines(document, patient)
    assert healthy < progress


def test_a_stop_takes_no_longer_than_the_progress_deadline(document: Any, default: str) -> None:
    """Nomad refuses a job with a longer `kill_timeout`."""
    group = block(block(document, "job", "webhook"), "group", "webhook")
    stop = seconds(block(group, "task", "webhook")["kill_timeout"].strip('"'))
    assert stop <= deadlines(document, default)[1]
