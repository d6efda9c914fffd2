"""Serves the routes to a node's Fabio: all parts together, until SIGTERM.

GET /routes     for Fabio (`registry.backend = custom`): answered once Consul has answered
GET /view       what this node sees of the others and of the instances, as JSON
GET /metrics    the same for Prometheus
GET /targets/SERVICE    where Consul says that a service is, for Prometheus (`http_sd_configs`)
"""

import asyncio
import json
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler

from cluster.layout import CONSUL_PORT, TRAFFIC_PORT, VIEW_PORT
from cluster.routing.beats import Beats, Echo
from cluster.routing.catalog import Catalog, View
from cluster.routing.probes import pause, probe_all
from cluster.routing.targets import Instance, Probe, choose
from tools.network import interface_address

SERVICE = "webhook"
CONSUL_SECONDS = 2.0
SOURCE = f":{TRAFFIC_PORT}"  # the port of Fabio's that they are behind

log = logging.getLogger(__name__)


class Routes:
    """The targets of this node's Fabio, kept up to date."""

    def __init__(self, own_address: str) -> None:
        self._own_address = own_address
        self.view = View()
        self.heard = asyncio.Event()
        """Set once Consul has said anything."""
        self.beats = Beats(VIEW_PORT)
        self.probes: Mapping[str, Probe] = {}
        self.targets: list[Instance] = []
        self._said_silent: set[str] = set()
        self._doubted: set[str] = set()

    def learn(self, view: View) -> None:
        """Go by what Consul says now."""
        self.view = view
        self._choose()
        self.heard.set()

    async def go_on(self) -> None:
        """Ask the instances, and choose among them, until cancelled."""
        while True:
            began, used = time.monotonic(), time.thread_time()
            nodes = self.view.nodes.items()
            others = {name: address for name, address in nodes if address != self._own_address}
            try:
                await self.beats.know(others)
            except OSError as error:  # an address that nothing can be sent to
                log.error("no beats to all of %s: %s", ", ".join(others), error)
            self.probes = await probe_all(one.address for one in self.view.instances)
            self._choose()
            await asyncio.sleep(pause(time.monotonic() - began, time.thread_time() - used))

    def refresh(self) -> list[Instance]:
        """The targets of this moment: beats tell of a node sooner than probes end."""
        self._choose()
        return self.targets

    def _choose(self) -> None:
        silent = self.beats.silent
        for name in sorted(silent ^ self._said_silent):
            log.warning("%s %s", name, "does not answer" if name in silent else "answers again")
        self._said_silent = silent
        self._doubt(silent)
        targets = choose(self.view.instances, silent, self.probes, self._doubted)
        if targets != self.targets:
            log.info("routes: %s", ", ".join(one.address for one in targets) or "none")
        self.targets = targets

    def _doubt(self, silent: set[str]) -> None:
        """Keep in mind whose node was silent, until they say themselves that they are there."""
        for one in self.view.instances:
            if one.node in silent:
                self._doubted.add(one.address)
            elif self.probes.get(one.address) is Probe.READY:
                self._doubted.discard(one.address)
        self._doubted &= {one.address for one in self.view.instances}


class RoutesHandler(RequestHandler):
    """Fabio's route table. All fields each time: Fabio keeps an old one that is not named."""

    def initialize(self, routes: Routes) -> None:
        self._routes = routes

    async def get(self) -> None:
        await self._routes.heard.wait()
        table = [
            {
                "cmd": "route add",
                "service": SERVICE,
                "src": SOURCE,
                "dst": f"tcp://{one.address}",
                "weight": 0,
                "tags": [],
                "opts": {"proto": "tcp"},
            }
            for one in self._routes.refresh()
        ]
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(table))


class ViewHandler(RequestHandler):
    """What this node sees."""

    def initialize(self, routes: Routes) -> None:
        self._routes = routes

    def get(self) -> None:
        self.finish(view_of(self._routes))


class MetricsHandler(RequestHandler):
    """The same, as numbers."""

    def initialize(self, routes: Routes) -> None:
        self._routes = routes

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(metrics_of(view_of(self._routes)))


class TargetsHandler(RequestHandler):
    """All instances of a service, well or not. 503 where Consul does not answer: Prometheus keeps
    what it was told before."""

    async def get(self, service: str) -> None:
        url = f"http://127.0.0.1:{CONSUL_PORT}/v1/health/service/{service}?stale="
        try:
            answer = await AsyncHTTPClient().fetch(url, request_timeout=CONSUL_SECONDS)
            targets = targets_of(json.loads(answer.body))
        except (OSError, HTTPClientError, ValueError, KeyError) as error:
            raise HTTPError(503, reason="Consul does not answer") from error
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(targets))


def targets_of(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Instances as Consul has them, as Prometheus wants them."""
    return [
        {
            "targets": [
                f"{one['Service']['Address'] or one['Node']['Address']}:{one['Service']['Port']}"
            ],
            "labels": {"node": one["Node"]["Node"]},
        }
        for one in entries
    ]


def view_of(routes: Routes) -> dict[str, Any]:
    """`nodes`: whether each other node answers; `instances`: what each is, and is used as."""
    targets = set(routes.refresh())
    return {
        "nodes": {name: not peer.silent for name, peer in sorted(routes.beats.peers.items())},
        "instances": [
            {
                "node": one.node,
                "address": one.address,
                "passing": one.passing,
                "probe": routes.probes[one.address].value if one.address in routes.probes else None,
                "used": one in targets,
            }
            for one in sorted(routes.view.instances)
        ],
    }


def metrics_of(view: Mapping[str, Any]) -> str:
    """A view in Prometheus' text format."""
    lines = [
        "# HELP door_node_answers Whether the other node answers this one.",
        "# TYPE door_node_answers gauge",
        *(f'door_node_answers{{node="{name}"}} {one:d}' for name, one in view["nodes"].items()),
        "# HELP door_target_used Whether this node's Fabio hands connections to the instance.",
        "# TYPE door_target_used gauge",
        *(
            f'door_target_used{{node="{one["node"]}",address="{one["address"]}"}} {one["used"]:d}'
            for one in view["instances"]
        ),
    ]
    return "\n".join(lines) + "\n"


async def serve() -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    own_address = interface_address("eth1")
    routes = Routes(own_address)
    catalog = Catalog(SERVICE, lambda view: _cross(loop, lambda: routes.learn(view)))
    own = {"routes": routes}
    server = HTTPServer(
        Application(
            [
                ("/routes", RoutesHandler, own),
                ("/view", ViewHandler, own),
                ("/metrics", MetricsHandler, own),
                (r"/targets/([a-z-]+)", TargetsHandler),
            ],
            log_function=lambda _handler: None,  # two a second
        )
    )
    server.listen(VIEW_PORT)
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=(own_address, VIEW_PORT))
    catalog.start()
    working = [asyncio.create_task(routes.beats.go_on()), asyncio.create_task(routes.go_on())]
    log.info("listening at port %d", VIEW_PORT)
    try:
        ended, _ = await asyncio.wait(
            [asyncio.create_task(over.wait()), *working], return_when=asyncio.FIRST_COMPLETED
        )
        for task in ended:
            task.result()  # an error of our own ends the program, which Nomad starts again
    finally:
        catalog.end()
        for task in working:
            task.cancel()
        server.stop()
        echo.close()
        routes.beats.close()


def _cross(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have the loop call it, from another thread."""
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(call)
