"""The instances of the webhook and the nodes, as Consul has them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import consul
import requests
from consul.callback import CB

from cluster.routing.targets import Instance

WAIT_SECONDS = 10
RETRY_SECONDS = 0.5
PASSING = "passing"


@dataclass(frozen=True, slots=True)
class View:
    """What Consul said last."""

    instances: tuple[Instance, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    """The address of each node by its name."""


class Catalog(threading.Thread):
    """Asks the node's own agent, waits for changes, and hands each view on, from its thread.

    Any server may answer, the node's own too (`stale`): while servers elect a leader there is no
    other answer, and just then a node has died. While nobody answers, the last view holds.
    """

    def __init__(self, service: str, tell: Callable[[View], None]) -> None:
        super().__init__(name="consul", daemon=True)
        self._service = service
        self._tell = tell
        self._over = threading.Event()
        self._client = consul.Consul(connections_timeout=WAIT_SECONDS + 5)
        self._client.http.session.trust_env = False  # no proxy between a node and its own agent

    def run(self) -> None:
        """Ask, until `end`."""
        index = "0"
        while not self._over.is_set():
            try:
                index, entries = self._get(f"/v1/health/service/{self._service}", index)
                _, nodes = self._get("/v1/catalog/nodes")
                view = View(
                    tuple(map(_instance, entries)),
                    {node["Node"]: node["Address"] for node in nodes},
                )
            except (consul.ConsulException, requests.RequestException):
                index = "0"
                self._over.wait(RETRY_SECONDS)
            else:
                self._tell(view)

    def _get(self, path: str, index: str = "0") -> tuple[str, Any]:
        """The answer at `path`, as soon as it is another than that of `index`, and its index.

        Not by `health.service`, which can't ask for a stale read.
        """
        params = [("stale", "1"), ("index", index), ("wait", f"{WAIT_SECONDS}s")]
        headers = self._client.prepare_headers(None)
        found = self._client.http.get(CB.json(index=True), path, params=params, headers=headers)
        return str(found[0]), found[1]

    def end(self) -> None:
        """Ask no more; an answer that is waited for is not handed on."""
        self._over.set()


def _instance(entry: Mapping[str, Any]) -> Instance:
    node, service = entry["Node"], entry["Service"]
    return Instance(
        node["Node"],
        f"{service['Address'] or node['Address']}:{service['Port']}",
        all(check["Status"] == PASSING for check in entry["Checks"]),
    )
