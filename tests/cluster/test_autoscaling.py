"""The count follows the load, and no fault of what makes it follow has it fall.

The real parts throughout; most tests have a stub in Prometheus' place (tests/cluster/sizing.py).
What Prometheus itself may lack is in test_prometheus.py.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from cluster.autoscaling.view import autoscaler_among
from cluster.deployments import latest
from cluster.layout import AUTOSCALER, NODES, NOMAD_PORT
from harness.cluster import DOORS, WELL_SECONDS, Cluster
from harness.generator import Generator
from harness.waiting import wait_for
from tests.cluster.sizing import (
    ANEW_SECONDS,
    AUTOSCALER_PROCESS,
    DOWN_SECONDS,
    FOLLOWS_SECONDS,
    NOMAD_PROCESS,
    PROMETHEUS_PROCESS,
    RATE,
    Counts,
    Said,
    Stub,
    await_evaluations,
    await_no,
    evaluates,
    follows,
    holds,
    kill,
    place_of,
    scale_by_hand,
)
from tests.cluster.test_room import fits
from tests.support.browser import WAIT_MS
from tests.support.say import Say

__all__ = ["fits"]

GIVEN_UP_SECONDS = 100.0
NOT_THERE = "0.0.0-nowhere"

HELD = {
    "infinite": (Said(["+Inf"]), "the value is inf"),
    "not a number": (Said(["NaN"]), "the value is nan"),
    "absent": (Said(), "no value"),
    "two streams": (Said(["9", "9"]), "there are 2 values"),
    "an error": (Said(["9"], status=502), "Prometheus answers 502"),
    "too late": (Said(["9"], late=True), "timed out"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "answer" in metafunc.fixturenames:
        long = metafunc.config.getoption("--long")
        metafunc.parametrize("answer", HELD if long else ["infinite"])


@pytest.mark.usefixtures("sized")
def test_the_live_page_shows_how_many_are_wanted_and_run(page: Page) -> None:
    await_evaluations()
    page.goto(DOORS[0])
    shown = re.compile(r"^[1-9]\d* wanted, [1-9]\d* running$")
    expect(page.locator("#wanted")).to_have_text(shown, timeout=4 * WAIT_MS)


def test_it_may_scale_and_nothing_else(sized: Cluster) -> None:
    """By the token that Nomad gives its task, which the node's root can read."""
    lines = Path(f"/proc/{place_of(AUTOSCALER_PROCESS)[1]}/environ").read_text().split("\0")
    told = dict(line.split("=", 1) for line in lines if line)
    alloc, headers = told["NOMAD_ALLOC_ID"], {"X-Nomad-Token": told["NOMAD_TOKEN"]}

    def answer(method: str, path: str, document: Any = None) -> requests.Response:
        url, body = f"{NODES[0].url(NOMAD_PORT)}/v1/{path}", json.dumps(document)
        return requests.request(method, url, data=body, headers=headers, timeout=5)

    for method, path, document in (
        ("POST", "jobs", {"Job": sized.ask(lambda client: client.job.get_job(AUTOSCALER))}),
        ("DELETE", "job/webhook", None),
        ("POST", "acl/policy/mine", {"Name": "mine", "Rules": ""}),
        ("PUT", "var/mine", {"Path": "mine", "Items": {"a": "b"}}),
        ("GET", f"client/fs/ls/{alloc}?path=/", None),
        ("PUT", f"client/allocation/{alloc}/restart", {}),
    ):
        assert answer(method, path, document).status_code == 403, path
    policies = answer("GET", "scaling/policies")
    assert [one["Target"]["Job"] for one in policies.json()] == ["webhook"]


@pytest.mark.usefixtures("quick")
def test_it_follows_a_step_up_and_down_and_prometheus_killed_holds_it(
    sized: Cluster, tmp_path: Path, say: Say, request: pytest.FixtureRequest
) -> None:
    await_evaluations()
    begin = len(sized.passing())
    # 1. Up.
    with Generator(DOORS, tmp_path / "one", "--rate", f"{RATE}", "--seconds", "300") as run:
        began = time.monotonic()
        wait_for(lambda: len(sized.passing()) > begin + 2, "more", ANEW_SECONDS, 0.2)
        up = time.monotonic() - began
        # 2. Without Prometheus.
        high = sized.count()
        with Counts(sized) as counts:
            _, before = place_of(PROMETHEUS_PROCESS)
            kill(PROMETHEUS_PROCESS)
            began = time.monotonic()
            wait_for(
                lambda: place_of(PROMETHEUS_PROCESS)[1] != before, "another one", ANEW_SECONDS, 0.2
            )
            await_evaluations()
            back = time.monotonic() - began
            run.acknowledge(RATE)
        assert counts.lowest >= high
        summary = run.finish(interrupt=True)
    say(
        f"{begin} to more than {begin + 2} in {up:.1f} s; Prometheus killed: evaluated again after "
        f"{back:.1f} s, {counts.lowest} of {high} at least; {summary['sent']} sent, "
        f"{summary['unknown']} unknown"
    )
    if not request.config.getoption("--long"):
        return
    # 3. Calm: fewer, one after the other, after three minutes.
    began = time.monotonic()
    wait_for(lambda: sized.count() < high, "fewer", DOWN_SECONDS, 0.5)
    say(f"the first one fewer {time.monotonic() - began:.0f} s after the end")


def test_what_is_no_number_changes_nothing(at_3: Cluster, stub: Stub, answer: str) -> None:
    stub.said, why = HELD[answer]
    with Counts(at_3) as counts:
        stub.await_asked()
        wait_for(lambda: holds(why), why, FOLLOWS_SECONDS, 0.5)
    assert counts.lowest == max(counts.seen) == 3


def test_it_follows_again_after_prometheus_was_away(at_3: Cluster, stub: Stub, say: Say) -> None:
    stub.close()
    try:
        with Counts(at_3) as counts:
            wait_for(lambda: not evaluates(), "the first 502", FOLLOWS_SECONDS, 0.5)
            assert "refused" in str(autoscaler_among())
    finally:
        stub.say("4")
        stub.reopen()
    say(f"4 where there were 3, {follows(at_3, 4):.1f} s after Prometheus was back")
    assert counts.lowest == 3


def test_a_killed_autoscaler_is_started_anew(at_3: Cluster, stub: Stub, say: Say) -> None:
    with Counts(at_3) as counts:
        kill(AUTOSCALER_PROCESS)
        stub.say("4")
        say(f"4 where there were 3, {follows(at_3, 4):.1f} s after the autoscaler was killed")
    assert counts.lowest == 3


def test_an_autoscaler_that_lost_its_policies_is_started_anew(
    at_3: Cluster, stub: Stub, say: Say
) -> None:
    """As it does when its Nomad ends connections: it says that it is well."""
    node, _ = place_of(AUTOSCALER_PROCESS)
    with Counts(at_3) as counts:
        kill(NOMAD_PROCESS, node)
        stub.say("4")
        say(f"4 where there were 3, {follows(at_3, 4, ANEW_SECONDS):.1f} s after its Nomad ended")
    assert counts.lowest == 3


def test_an_autoscaler_whose_node_died_is_placed_elsewhere(
    at_3: Cluster, stub: Stub, say: Say
) -> None:
    node, _ = place_of(AUTOSCALER_PROCESS)
    try:
        with Counts(at_3) as counts:
            at_3.kill(node)
            stub.say("4")
            seconds = follows(at_3, 4, WELL_SECONDS)
        say(f"4 where there were 3, {seconds:.1f} s after the autoscaler's node had died")
        assert counts.lowest == 3
        assert place_of(AUTOSCALER_PROCESS)[0] != node
    finally:
        at_3.restore()


def test_a_person_s_smaller_count_is_undone(at_3: Cluster, stub: Stub) -> None:
    scale_by_hand(at_3, 2)
    follows(at_3, 2)
    follows(at_3, 3)
    shown = at_3.command("status").stdout
    assert "webhook: wanted 3, desired 3, running 3, room " in shown
    assert "; autoscaler evaluates" in shown
    assert stub.asked


@pytest.mark.usefixtures("stub")
def test_a_person_s_larger_count_is_undone_by_one_at_a_time(at_3: Cluster) -> None:
    scale_by_hand(at_3, 5)
    with Counts(at_3) as counts:
        follows(at_3, 5)
        follows(at_3, 3, DOWN_SECONDS)
    assert list(dict.fromkeys(counts.seen)) == [5, 4, 3]


def test_a_count_stays_without_the_autoscaler_and_follows_with_it(
    at_3: Cluster, stub: Stub
) -> None:
    """As docs/rightsizing.md says to pin it."""
    at_3.nomad("job", "stop", "-detach", AUTOSCALER)
    try:
        await_no(AUTOSCALER_PROCESS)
        asked = stub.asked
        scale_by_hand(at_3, 4)
        follows(at_3, 4)
        assert "; no autoscaler" in at_3.command("status").stdout
        assert (stub.asked, at_3.count()) == (asked, 4)
    finally:
        at_3.command("run", AUTOSCALER)
    follows(at_3, 3, ANEW_SECONDS)


@pytest.mark.usefixtures("stub")
def test_a_job_run_that_forgets_the_count_is_made_good(at_3: Cluster, say: Say) -> None:
    """By hand: `scripts/cluster run` does not forget it."""
    at_3.nomad("job", "run", "-detach", "webhook.nomad")
    assert at_3.count() == 2
    follows(at_3, 2)
    say(f"3 again {follows(at_3, 3):.1f} s after the count was the file's")


def test_a_deployment_is_waited_for(at_3: Cluster, stub: Stub, say: Say) -> None:
    """Of a version that can't start: it lasts until Nomad gives it up."""

    def deployed() -> tuple[str, bool]:
        last = at_3.ask(lambda client: latest(client, "webhook"))
        return last.id, last.goes_on

    before, _ = deployed()
    options = ["-var", f"version={NOT_THERE}", "-var", "healthy_deadline=15s"]
    at_3.nomad("job", "run", "-detach", "-preserve-counts", *options, "webhook.nomad")
    wait_for(lambda: deployed()[0] != before, "a deployment", FOLLOWS_SECONDS, 0.2)
    began = time.monotonic()
    ours, _ = deployed()
    # 1. As long as it goes on the count stays, and is asked for again and again.
    stub.say("4")
    counts = []

    def over() -> bool:
        count = at_3.count()
        if deployed() == (ours, True):
            counts.append(count)
            return False
        return True

    stub.await_asked()
    assert not over()
    wait_for(over, "its end", GIVEN_UP_SECONDS, 0.5)
    assert set(counts) == {3}
    # 2. Then it follows.
    took = follows(at_3, 4, ANEW_SECONDS)
    say(f"a deployment of {time.monotonic() - began - took:.0f} s; followed {took:.1f} s later")
    assert NOT_THERE not in str(at_3.ask(lambda client: client.job.get_job("webhook")))


def test_more_than_fits_locks_nothing(at_3: Cluster, fits: int, stub: Stub, say: Say) -> None:
    """The autoscaler goes by what runs, so a wish stays until something else is wanted.

    The rules never ask for so many.
    """
    stub.say(str(fits + 1))
    wait_for(lambda: at_3.count() > fits, "the wish", FOLLOWS_SECONDS, 0.5)
    began = time.monotonic()
    stub.say(str(fits - 1))
    wait_for(lambda: at_3.count() < fits, "the end", GIVEN_UP_SECONDS, 0.5)
    say(f"{fits + 1} wanted where {fits} fit: fewer {time.monotonic() - began:.0f} s later")
    follows(at_3, fits - 1)
    stub.say(str(fits))
    follows(at_3, fits, ANEW_SECONDS)  # 30 s after a change downwards at the earliest
    stub.say("3")
