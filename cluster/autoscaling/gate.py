"""Serves the autoscaler's queries, and says whether it still evaluates.

nomad-autoscaler 0.5.0 stops for good at a refused connection (hashicorp/nomad-autoscaler#1334),
and goes on after a 502. So it asks here, in its own allocation, and gets 502 where Prometheus is
away, or answers what is no number of allocations: then the count stays what it is.

POST /api/v1/query    for the autoscaler
GET /alive            for Nomad, which restarts it: 503 where the autoscaler has no policy left
GET /view             what it was answered last, as JSON
"""

import json
import logging
import re
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cluster.autoscaling.answers import NoCountError, count_of, error_of
from cluster.layout import AUTOSCALER_PORT, CONSUL_PORT, GATE_PORT, PROMETHEUS, WEBHOOK

QUERY = "/api/v1/query"
CONSUL_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""The autoscaler waits for 10 s."""
MOST_BYTES = 1 << 20
POLICIES = re.compile(r"^nomad_autoscaler_policy_total_num(?:\{.*\})? (\S+)$", re.MULTILINE)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class View:
    """What `scripts/cluster status` shows."""

    queries: int = 0
    wanted: float | None = None
    """How many allocations the last answer asked for; None if it was none."""
    why: str = ""
    """Why there was none."""
    asked_at: float = 0.0
    """Seconds since the epoch, of the last query."""


class Gate:
    """To Prometheus, wherever Consul says that it is."""

    def __init__(self, consul: tuple[str, int], autoscaler: tuple[str, int]) -> None:
        self._consul = consul
        self._autoscaler = autoscaler
        self._known: tuple[str, int] | None = None
        self._view = View()
        self._lock = threading.Lock()

    def query(self, body: bytes, kind: str) -> tuple[int, bytes]:
        """Prometheus' answer to a query of this content type, or 502: status and body."""
        try:
            answer = self._ask(body, kind)
            wanted, why = count_of(answer), ""
            status = HTTPStatus.OK
        except (OSError, HTTPException) as error:
            wanted, why = None, f"Prometheus: {error or type(error).__name__}"
        except NoCountError as error:
            wanted, why = None, str(error)
        if wanted is None:
            status, answer = HTTPStatus.BAD_GATEWAY, error_of(why)
        self._learn(wanted, why)
        return status, answer

    def alive(self) -> bool:
        """Whether the autoscaler has a policy to evaluate, or there is nothing to scale."""
        try:
            text = get(self._autoscaler, "/v1/metrics?format=prometheus", ANSWER_SECONDS)[1]
        except (OSError, HTTPException):
            return False
        found = POLICIES.search(text.decode(errors="replace"))
        return (found is not None and float(found[1]) > 0) or not self._addresses(WEBHOOK)

    def view(self) -> View:
        """As of now."""
        with self._lock:
            return View(**asdict(self._view))

    def _learn(self, wanted: float | None, why: str) -> None:
        with self._lock:
            view, before = self._view, self._view.why
            view.queries += 1
            view.wanted, view.why, view.asked_at = wanted, why, time.time()
        if why != before:
            log.warning("%s", f"no count: {why}" if why else "there is a count again")

    def _ask(self, body: bytes, kind: str) -> bytes:
        """Raises OSError, HTTPException and NoCountError."""
        address = self._prometheus()
        connection = HTTPConnection(*address, timeout=ANSWER_SECONDS)
        with closing(connection):
            connection.request("POST", QUERY, body, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES)
        if answer.status != HTTPStatus.OK:
            raise NoCountError(f"Prometheus answers {answer.status}")
        return content

    def _prometheus(self) -> tuple[str, int]:
        """Where it is, or was when Consul said so last. Raises NoCountError."""
        if addresses := self._addresses(PROMETHEUS):
            self._known = addresses[0]
        if self._known is None:
            raise NoCountError("Consul knows no Prometheus that is well")
        return self._known

    def _addresses(self, service: str) -> list[tuple[str, int]]:
        """Its instances that are well; none where Consul does not answer."""
        try:
            path = f"/v1/health/service/{service}?passing=1&stale="
            status, content = get(self._consul, path, CONSUL_SECONDS)
            if status != HTTPStatus.OK:
                return []
            entries = json.loads(content)
            return [
                (one["Service"]["Address"] or one["Node"]["Address"], one["Service"]["Port"])
                for one in entries
            ]
        except (OSError, HTTPException, ValueError, KeyError):
            return []


def get(address: tuple[str, int], path: str, seconds: float) -> tuple[int, bytes]:
    """Status and body. Raises OSError and HTTPException."""
    connection = HTTPConnection(*address, timeout=seconds)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)


def serving(gate: Gate, port: int = GATE_PORT) -> ThreadingHTTPServer:
    """A server for `serve_forever`; port 0 has the kernel pick one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60.0

        def do_GET(self) -> None:
            if self.path == "/alive":
                alive = gate.alive()
                status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, b'"evaluates"' if alive else b'"has no policy"')
            elif self.path == "/view":
                self._answer(HTTPStatus.OK, json.dumps(asdict(gate.view())).encode())
            elif self.path.startswith(QUERY):
                # Prometheus' clients ask so where POST is refused.
                self._answer(HTTPStatus.METHOD_NOT_ALLOWED, error_of("POST it"))
            else:
                self._answer(HTTPStatus.NOT_FOUND, error_of(f"GET /view, or POST {QUERY}"))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != QUERY or not length.isdigit() or int(length) > MOST_BYTES:
                self.close_connection = True
                self._answer(HTTPStatus.NOT_FOUND, error_of(f"POST {QUERY}, with a length"))
                return
            body = self.rfile.read(int(length))
            self._answer(*gate.query(body, self.headers.get("Content-Type", "")))

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """One each few seconds."""

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    return server


def serve() -> None:
    """Serve until the process is told to end."""
    gate = Gate(("127.0.0.1", CONSUL_PORT), ("127.0.0.1", AUTOSCALER_PORT))
    with serving(gate) as server:
        log.info("listening at port %d", GATE_PORT)
        server.serve_forever()
