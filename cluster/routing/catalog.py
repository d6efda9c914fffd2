"""The instances of the webhook and the nodes, according to Consul."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import consul
import requests
from consul.callback import CB

from cluster.routing.targets import Instance

WAIT_SECONDS = 10
RETRY_SECONDS = 0.2
PATIENCE_SECONDS = 10.0
PASSING = "passing"


@dataclass(frozen=True, slots=True)
class View:
    """What Consul said last."""

    instances: tuple[Instance, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    """The address of each node by its name."""


class Memory:
    """Whether a server's answer is believed.

    A server that was started a moment ago answers with what was on its disk: nothing, or the
    services of an hour ago. Its index, which counts the cluster's changes, shows it. If that stays
    behind for long, the cluster was restored from a backup, or started again.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._index = 0
        self._believed_at = now()

    def believes(self, index: int, *, leader: bool) -> bool:
        """Whether to go by an answer with this index, of a server that knows of a leader or not.

        One without a leader has the last word only if nothing better was heard.
        """
        now = self._now()
        behind = index < self._index or (self._index == 0 and not leader)
        if behind and now < self._believed_at + PATIENCE_SECONDS:
            return False
        self._index, self._believed_at = index, now
        return True


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
        self._services, self._nodes = Memory(), Memory()
        self._client = consul.Consul(connections_timeout=WAIT_SECONDS + 5)
        self._client.http.session.trust_env = False  # no proxy between a node and its own agent

    def run(self) -> None:
        """Ask, until `end`."""
        index = 0
        while not self._over.is_set():
            try:
                path = f"/v1/health/service/{self._service}"
                index, entries = self._get(path, self._services, index)
                _, nodes = self._get("/v1/catalog/nodes", self._nodes)
                view = View(
                    tuple(map(_instance, entries)),
                    {node["Node"]: node["Address"] for node in nodes},
                )
            except (consul.ConsulException, requests.RequestException, Outdated):
                index = 0
                self._over.wait(RETRY_SECONDS)
            else:
                self._tell(view)

    def _get(self, path: str, memory: Memory, index: int = 0) -> tuple[int, Any]:
        """The index and the answer at `path`, as soon as it is another than that of `index`.

        Not by `health.service`, which can't ask for a stale read. Raises Outdated.
        """
        params = [("stale", "1"), ("index", f"{index}"), ("wait", f"{WAIT_SECONDS}s")]
        headers = self._client.prepare_headers(None)
        leader, (current, found) = self._client.http.get(
            _with_leader, path, params=params, headers=headers
        )
        if not memory.believes(int(current), leader=leader):
            raise Outdated
        return int(current), found

    def end(self) -> None:
        """Ask no more; an answer that is waited for is not handed on."""
        self._over.set()


class Outdated(Exception):  # noqa: N818 - asked again, and nothing is wrong
    """The server that answered has not caught up yet."""


def _with_leader(response: Any) -> tuple[bool, tuple[str, Any]]:
    """Whether the server knows of a leader; the index and the answer."""
    leader = response.headers.get("X-Consul-KnownLeader") != "false"
    return leader, CB.json(index=True)(response)


def _instance(entry: Mapping[str, Any]) -> Instance:
    node, service = entry["Node"], entry["Service"]
    return Instance(
        node["Node"],
        f"{service['Address'] or node['Address']}:{service['Port']}",
        all(check["Status"] == PASSING for check in entry["Checks"]),
    )
