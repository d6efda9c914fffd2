"""The count follows the load, and no fault of what makes it follow has it fall.

The real parts throughout. Where a wrong answer is the point, or the time that a right one takes, a
stub stands in Prometheus' place: Consul says that Prometheus is there.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest

from cluster.autoscaling.view import Autoscaler, autoscaler_at
from cluster.layout import HOST_ADDRESS, NODES, Node
from cluster.nodes import namespaces
from cluster.nodes.namespaces import KIT
from harness.cluster import DOORS, Cluster
from harness.generator import Generator
from harness.processes import in_network, network_of
from harness.waiting import wait_for
from tests.cluster.test_room import fits
from tests.support.say import Say

__all__ = ["fits"]

LIMIT, RATE = 40, 130
"""Events/s that one allocation takes, and that are offered: 7 are wanted."""
QUICK = "prometheus-quick"
FOLLOWS_SECONDS = 40.0
ANEW_SECONDS = 120.0
"""The watchdog's 30 s, the start, and a busy machine."""
DOWN_SECONDS = 180.0
GIVEN_UP_SECONDS = 100.0
LOOKS = 2
"""So many answers of one kind are enough: each is an evaluation."""

HELD = {
    "infinite": ["+Inf"],
    "not a number": ["NaN"],
    "absent": [],
    "two streams": ["9", "9"],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "answer" in metafunc.fixturenames:
        long = metafunc.config.getoption("--long")
        metafunc.parametrize("answer", HELD if long else ["infinite"])


class Stub:
    """Answers every query with `values`, on this machine's own address among the nodes."""

    def __init__(self) -> None:
        stub = self
        self.values = ["2"]
        self.asked = 0

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                result = [
                    {"metric": {"n": f"{n}"}, "value": [time.time(), one]}
                    for n, one in enumerate(stub.values)
                ]
                data = {"resultType": "vector", "result": result}
                body = json.dumps({"status": "success", "data": data}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                stub.asked += 1

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Not on the tests' output."""

        self._handler = Handler
        self._serve(0)
        self.port = self._server.server_port

    def _serve(self, port: int) -> None:
        address = (HOST_ADDRESS.partition("/")[0], port)
        self._server = ThreadingHTTPServer(address, self._handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reopen(self) -> None:
        """Answer again."""
        self._serve(self.port)

    def await_asked(self) -> None:
        """Return when it has been asked a few times more."""
        before = self.asked
        wait_for(lambda: self.asked >= before + LOOKS, "evaluations", FOLLOWS_SECONDS, 0.2)


class Lowest:
    """The fewest allocations that Nomad was told to have, from `with` to its end."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._seen = [cluster.count()]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._seen.append(self._cluster.count())

    @property
    def count(self) -> int:
        return min(self._seen)


def place_of(words: str, nodes: Sequence[Node] = NODES) -> tuple[Node, int]:
    """The node and the process whose command line begins so, once there is one."""

    def found() -> tuple[Node, int] | None:
        for node in nodes:
            lines = in_network(network_of(namespaces.running(node.name)))
            for pid, line in lines.items():
                if line.startswith(f"/opt/teracompra/bin/{words}"):
                    return node, pid
        return None

    place = wait_for(found, f"a process {words}", ANEW_SECONDS, 0.2)
    assert place is not None
    return place


def kill(words: str, nodes: Sequence[Node] = NODES) -> None:
    """End that process, at once."""
    os.kill(place_of(words, nodes)[1], signal.SIGKILL)


def view() -> Autoscaler | None:
    """What the autoscaler does, wherever it is."""
    return next((one for one in map(autoscaler_at, NODES) if one is not None), None)


def evaluates() -> bool:
    one = view()
    return one is not None and one.evaluates


def scale_by_hand(cluster: Cluster, count: int) -> None:
    """Return when Nomad has taken it: not as long as a deployment goes on."""
    scale = ("job", "scale", "-detach", "webhook", f"{count}")
    wait_for(
        lambda: not cluster.nomad(*scale, code=None).returncode, "the change", ANEW_SECONDS, 0.5
    )


def follows(cluster: Cluster, count: int, seconds: float = FOLLOWS_SECONDS) -> float:
    """Return when so many allocations take events; how many seconds it took."""
    began = time.monotonic()
    wait_for(lambda: len(cluster.passing()) == count, f"{count} allocations", seconds, 0.2)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def sized(running_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with Prometheus and the autoscaler; afterwards without, as the others have it."""
    running_cluster.restore()
    running_cluster.up(autoscaling=True)
    try:
        yield running_cluster
    finally:
        running_cluster.up()


@pytest.fixture(scope="module")
def stub(at_length: None, sized: Cluster) -> Iterator[Stub]:  # noqa: ARG001
    """In Prometheus' place, once the autoscaler asks there."""
    one = Stub()
    name, shell = "prometheus", ("shell", NODES[0].name, "--", "consul", "services")
    register = ["-name", name, "-id", "stub", "-address", HOST_ADDRESS.partition("/")[0]]
    try:
        sized.nomad("job", "stop", "-detach", name)
        sized.command(*shell, "register", *register, "-port", str(one.port))
        one.await_asked()
        yield one
        sized.command(*shell, "deregister", "-id", "stub")
        sized.command("run", "-detach", name)
    finally:
        one.close()


@pytest.fixture
def at_3(sized: Cluster, stub: Stub) -> Cluster:
    """Three allocations, as many as are wanted."""
    stub.values = ["3"]
    wait_for(evaluates, "evaluations", ANEW_SECONDS, 0.5)
    if sized.count() != 3:  # by itself one fewer each 30 s
        scale_by_hand(sized, 3)
    follows(sized, 3, DOWN_SECONDS)
    return sized


@pytest.fixture
def quick(sized: Cluster) -> Iterator[None]:
    """A Prometheus that looks back for 1 minute and not 10, and webhooks with a known limit."""
    folder = KIT / QUICK
    shutil.copytree(KIT / "prometheus", folder, dirs_exist_ok=True)
    rules = folder / "rules" / "webhook.yml"
    text = rules.read_text()
    assert "[10m]" in text
    rules.write_text(text.replace("[10m]", "[1m]").replace("< 108", "< 10"))
    sized.command("run", "-var", "count=2", "-var", f"events_per_second={LIMIT}", "webhook")
    sized.command("run", "-var", f"folder=/opt/teracompra/{QUICK}", "prometheus")
    try:
        yield
    finally:
        sized.command("run", "-detach", "prometheus")
        sized.command("run", "-var", "count=2", "webhook")


@pytest.mark.usefixtures("quick")
def test_it_follows_a_step_up_and_down_and_prometheus_killed_holds_it(
    sized: Cluster, tmp_path: Path, say: Say, request: pytest.FixtureRequest
) -> None:
    wait_for(evaluates, "evaluations", ANEW_SECONDS, 0.5)
    begin = len(sized.passing())
    # 1. Up.
    with Generator(DOORS, tmp_path / "one", "--rate", f"{RATE}", "--seconds", "300") as run:
        began = time.monotonic()
        wait_for(lambda: len(sized.passing()) > begin + 2, "more", FOLLOWS_SECONDS, 0.2)
        up = time.monotonic() - began
        # 2. Without Prometheus.
        high = sized.count()
        with Lowest(sized) as lowest:
            _, before = place_of("prometheus ")
            kill("prometheus ")
            began = time.monotonic()
            wait_for(lambda: place_of("prometheus ")[1] != before, "another one", ANEW_SECONDS, 0.2)
            wait_for(evaluates, "evaluations again", ANEW_SECONDS, 0.5)
            back = time.monotonic() - began
            run.acknowledge(RATE)
        assert lowest.count >= high
        summary = run.finish(interrupt=True)
    say(
        f"{begin} to more than {begin + 2} in {up:.1f} s; Prometheus killed: evaluated again after "
        f"{back:.1f} s, {lowest.count} of {high} at least; {summary['sent']} sent, "
        f"{summary['unknown']} unknown"
    )
    if not request.config.getoption("--long"):
        return
    # 3. Calm: fewer, one after the other, after three minutes.
    began = time.monotonic()
    wait_for(lambda: sized.count() < high, "fewer", DOWN_SECONDS, 0.5)
    say(f"the first one fewer {time.monotonic() - began:.0f} s after the end")


def test_what_is_no_number_changes_nothing(at_3: Cluster, stub: Stub, answer: str) -> None:
    stub.values = HELD[answer]
    with Lowest(at_3) as lowest:
        stub.await_asked()
    assert lowest.count == at_3.count() == 3


def test_it_follows_again_after_prometheus_was_away(at_3: Cluster, stub: Stub, say: Say) -> None:
    stub.close()
    try:
        with Lowest(at_3) as lowest:
            wait_for(lambda: not evaluates(), "the first 502", FOLLOWS_SECONDS, 0.5)
            assert "refused" in str(view())
    finally:
        stub.values = ["4"]
        stub.reopen()
    say(f"4 where there were 3, {follows(at_3, 4):.1f} s after Prometheus was back")
    assert lowest.count == 3


def test_a_killed_autoscaler_is_started_anew(at_3: Cluster, stub: Stub, say: Say) -> None:
    with Lowest(at_3) as lowest:
        kill("nomad-autoscaler ")
        stub.values = ["4"]
        say(f"4 where there were 3, {follows(at_3, 4):.1f} s after the autoscaler was killed")
    assert lowest.count == 3


def test_an_autoscaler_that_lost_its_policies_is_started_anew(
    at_3: Cluster, stub: Stub, say: Say
) -> None:
    """As it does when its Nomad ends connections: it says that it is well."""
    node, _ = place_of("nomad-autoscaler ")
    with Lowest(at_3) as lowest:
        kill("nomad agent", [node])
        stub.values = ["4"]
        say(f"4 where there were 3, {follows(at_3, 4, ANEW_SECONDS):.1f} s after its Nomad ended")
    assert lowest.count == 3


def test_a_person_s_count_is_undone(at_3: Cluster, stub: Stub) -> None:
    scale_by_hand(at_3, 2)
    follows(at_3, 2)
    follows(at_3, 3)
    shown = at_3.command("status").stdout
    assert "webhook: wanted 3, desired 3, running 3, room " in shown
    assert "; autoscaler evaluates" in shown
    assert stub.asked


def test_more_than_fits_locks_nothing(sized: Cluster, fits: int, stub: Stub, say: Say) -> None:
    """The autoscaler goes by what runs, so a wish stays until something else is wanted.

    The rules never ask for so many.
    """
    stub.values = [str(fits + 1)]
    wait_for(lambda: sized.count() > fits, "the wish", FOLLOWS_SECONDS, 0.5)
    began = time.monotonic()
    stub.values = [str(fits - 1)]
    wait_for(lambda: sized.count() < fits, "the end", GIVEN_UP_SECONDS, 0.5)
    say(f"{fits + 1} wanted where {fits} fit: fewer {time.monotonic() - began:.0f} s later")
    follows(sized, fits - 1)
    stub.values = [str(fits)]
    follows(sized, fits)
    stub.values = ["3"]
