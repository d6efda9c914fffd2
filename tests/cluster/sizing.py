"""The cluster with Prometheus and the autoscaler, and what tests ask of the two.

Where a wrong answer is the point, or the time that a right one takes, a stub stands in Prometheus'
place: Consul says that Prometheus is there.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote

import pytest

from cluster.autoscaling.view import autoscaler_among
from cluster.layout import AUTOSCALER, HOST_ADDRESS, NODES, PROMETHEUS, PROMETHEUS_PORT, Node
from cluster.nodes.namespaces import KIT
from harness.cluster import Cluster, processes_on
from harness.http import request
from harness.waiting import wait_for, wait_until_none

LIMIT, RATE = 40, 130
"""Events/s that one allocation takes, and that are offered: 7 are wanted."""
QUICK = "prometheus-quick"
FOLLOWS_SECONDS = 40.0
ANEW_SECONDS = 120.0
"""The watchdog's 30 s, the start, and a busy machine."""
DOWN_SECONDS = 180.0
STALLED_SECONDS = 30.0
LOOKS = 2
"""So many answers of one kind are enough: each is an evaluation."""
PROMETHEUS_PROCESS, AUTOSCALER_PROCESS, NOMAD_PROCESS = (
    f"/opt/teracompra/bin/{begin} " for begin in ("prometheus", "nomad-autoscaler", "nomad agent")
)
WEBHOOK_PROCESS = "/usr/bin/python3 -m webhook"


@dataclass(frozen=True)
class Said:
    """How the stub answers."""

    values: Sequence[str] = ()
    """One for each stream."""
    status: int = 200
    late: bool = False
    """Whether it lets everybody wait longer than they do."""


class Stub:
    """Answers every query as `said` says, on this machine's own address among the nodes."""

    def __init__(self) -> None:
        stub = self
        self.said = Said(["2"])
        self.asked = 0
        self._over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                stub.asked += 1
                said = stub.said
                if said.late:
                    stub._over.wait(STALLED_SECONDS)
                result = [
                    {"metric": {"n": f"{n}"}, "value": [time.time(), one]}
                    for n, one in enumerate(said.values)
                ]
                data = {"resultType": "vector", "result": result}
                body = json.dumps({"status": "success", "data": data}).encode()
                with suppress(OSError):  # who has waited too long is gone
                    self.send_response(said.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Not on the tests' output."""

        self._handler = Handler
        self._serve(0)
        self.port = self._server.server_port

    def _serve(self, port: int) -> None:
        address = (HOST_ADDRESS.partition("/")[0], port)
        self._over.clear()
        self._server = ThreadingHTTPServer(address, self._handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def say(self, *values: str) -> None:
        """Answer with these from now on."""
        self.said = Said(values)

    def close(self) -> None:
        """Refuse connections from now on."""
        self._over.set()
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


class Counts:
    """How many allocations Nomad was told to have, from `with` to its end."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.seen = [cluster.count()]
        """In order."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self.seen.append(self._cluster.count())

    @property
    def lowest(self) -> int:
        return min(self.seen)


def places_of(words: str) -> list[tuple[Node, int]]:
    """The nodes and the processes whose command line begins so."""
    return [
        (node, pid)
        for node in NODES
        for pid, line in processes_on(node).items()
        if line.startswith(words)
    ]


def place_of(words: str) -> tuple[Node, int]:
    """The first of them, once there is one."""
    places = wait_for(lambda: places_of(words), f"a process {words}", ANEW_SECONDS, 0.2)
    assert places
    return places[0]


def kill(words: str, on: Node | None = None) -> None:
    """End that process, or the one on that node, at once."""
    found = [pid for node, pid in places_of(words) if on in {None, node}]
    os.kill(found[0], signal.SIGKILL)


@contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """These processes don't run: their kernel takes connections, and they say nothing."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def beside(act: Callable[[threading.Event], None], threads: int = 1) -> Iterator[None]:
    """`act` in threads of its own, until the event that it gets is set at the end of the block."""
    over = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(act, over) for _ in range(threads)]
        try:
            yield
        finally:
            over.set()
    for future in futures:
        future.result()


def evaluates() -> bool:
    one = autoscaler_among()
    return one is not None and one.evaluates


def holds(why: str) -> bool:
    """Whether the autoscaler has no number, for that reason."""
    one = autoscaler_among()
    return one is not None and why in one.why


def await_evaluations() -> None:
    """Return when the autoscaler goes by a number."""
    wait_for(evaluates, "evaluations", ANEW_SECONDS, 0.5)


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


def prometheus_says(path: str) -> Any:
    """The data of an answer of Prometheus', wherever it is; None if it does not answer."""
    for node in NODES:
        with suppress(OSError, ValueError, KeyError):
            return request("GET", f"{node.url(PROMETHEUS_PORT)}/api/v1/{path}").json["data"]
    return None


def value_of(query: str) -> float | None:
    """Of the first stream; None if there is none."""
    found = prometheus_says(f"query?query={quote(query)}")
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def known_seconds() -> float:
    """For how long Prometheus has looked, which is each 5 s; 300 at most."""
    return 5 * (value_of("count_over_time(up{job='prometheus'}[5m])") or 0.0)


def firing() -> set[str]:
    """The names of the alerts that fire; pending ones don't."""
    alerts = (prometheus_says("alerts") or {"alerts": []})["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


def await_firing(*names: str, seconds: float) -> float:
    """Return when each has fired, if not all at the same time; how many seconds it took."""
    began, left = time.monotonic(), set(names)

    def all_fired() -> bool:
        left.difference_update(firing())
        return not left

    wait_for(all_fired, f"{' and '.join(names)} to fire", seconds, 0.5)
    return time.monotonic() - began


def await_no(words: str) -> None:
    """Return when there is no such process."""
    wait_until_none(lambda: places_of(words), f"no {words}", ANEW_SECONDS, 0.2)


def forget(cluster: Cluster) -> None:
    """Stop Prometheus, with all that it knows."""
    cluster.nomad("job", "stop", "-purge", "-detach", PROMETHEUS)
    await_no(PROMETHEUS_PROCESS)


# Fixtures; tests/cluster/conftest.py has them.


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
    """In Prometheus' place, once the autoscaler asks there. Each node's Consul knows it."""
    one = Stub()

    def services(*arguments: str) -> None:
        for node in NODES:
            sized.command("shell", node.name, "--", "consul", "services", *arguments)

    address = ["-address", HOST_ADDRESS.partition("/")[0], "-port", str(one.port)]
    try:
        sized.nomad("job", "stop", "-detach", PROMETHEUS)
        services("register", "-name", PROMETHEUS, "-id", "stub", *address)
        one.await_asked()
        yield one
        services("deregister", "-id", "stub")
        sized.command("run", "-detach", PROMETHEUS)
    finally:
        one.close()


@pytest.fixture
def at_3(sized: Cluster, stub: Stub) -> Cluster:
    """Three allocations, as many as are wanted."""
    stub.say("3")
    await_evaluations()
    if sized.count() != 3:  # by itself one fewer each 30 s
        scale_by_hand(sized, 3)
    follows(sized, 3, DOWN_SECONDS)
    return sized


def folder_with(name: str, file: str, change: Callable[[str], str], of: str = "prometheus") -> str:
    """A copy of prometheus/, or of another copy, with one file changed; where nodes have it."""
    folder = KIT / name
    shutil.copytree(KIT / of, folder, dirs_exist_ok=True)
    text = (folder / file).read_text()
    changed = change(text)
    assert changed != text
    (folder / file).write_text(changed)
    return f"/opt/teracompra/{name}"


def quickly(rules: str) -> str:
    """The rules with a look back of 1 minute, and not 10."""
    assert "[10m]" in rules
    return rules.replace("[10m]", "[1m]").replace("< 108", "< 10")


@pytest.fixture
def quick(sized: Cluster) -> Iterator[None]:
    """A Prometheus that looks back for 1 minute and not 10, and two webhooks with a known limit.

    It is new: one that knows of more than two would have them again.
    """
    folder = folder_with(QUICK, "rules/webhook.yml", quickly)
    forget(sized)
    sized.command("run", "-var", "count=2", "-var", f"events_per_second={LIMIT}", "webhook")
    follows(sized, 2)
    sized.command("run", "-var", f"folder={folder}", PROMETHEUS)
    try:
        yield
    finally:
        sized.command("run", "-detach", PROMETHEUS)
        sized.command("run", "-var", "count=2", "webhook")


@pytest.fixture
def by_hand(sized: Cluster) -> Iterator[Cluster]:
    """Nobody sizes the webhook meanwhile."""
    sized.nomad("job", "stop", "-detach", AUTOSCALER)
    await_no(AUTOSCALER_PROCESS)
    try:
        yield sized
    finally:
        sized.command("run", "-detach", AUTOSCALER)
