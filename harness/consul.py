"""A separate Consul agent, and receivers that it checks.

    with Consul(directory) as consul, Receiver(store, consul=consul.url) as receiver:
        consul.register("webhook-1", receiver.port)

It is one server in development mode: real checks, a real catalogue, nothing on the disk.
"""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from artifacts.binaries import provide_binary
from harness.waiting import wait_for

NODE = "node-1"
SERVICE = "webhook"
ATTEMPTS = 3


class Consul:
    """An agent on ports of 127.0.0.1 that were free, from `with` until its end.

    With a `token`, it answers nothing without it. Its log is `consul.log` in
    `directory`.
    """

    def __init__(self, directory: Path, token: str = "") -> None:
        self.log = directory / "consul.log"
        self.token = token
        self.url = ""
        """Such as `http://127.0.0.1:40123`; the same after another start."""
        self._ports: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._ports[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Return when it has a leader. Raises RuntimeError with its log if it does not run."""
        for _ in range(ATTEMPTS):  # another process may take a port before Consul does
            self._ports = self._ports or _free_ports(3)
            if self._run():
                return self
            self._ports = []
        raise RuntimeError(f"Consul did not start:\n{self.log.read_text(errors='replace')}")

    def _run(self) -> bool:
        http, server, serf = self._ports
        self.url = f"http://127.0.0.1:{http}"
        settings: dict[str, object] = {"disable_update_check": True}
        if self.token:
            settings["acl"] = {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": self.token, "agent": self.token},
            }
        command = [str(provide_binary("consul")), "agent", "-dev", f"-node={NODE}"]
        command += ["-bind=127.0.0.1", f"-http-port={http}", f"-server-port={server}"]
        command += [f"-serf-lan-port={serf}", "-serf-wan-port=-1", "-dns-port=-1"]
        command += ["-grpc-port=-1", "-grpc-tls-port=-1", "-log-level=warn"]
        command += ["-hcl", json.dumps(settings)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        self._process = process
        wait_for(lambda: process.poll() is not None or self._leads(), "Consul with a leader")
        return process.poll() is None

    def _leads(self) -> bool:
        try:
            return NODE in [entry["Node"] for entry in self.request("GET", "/v1/catalog/nodes")]
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def stop(self) -> None:
        """End it at once; what was registered is forgotten."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def register(self, name: str, port: int, *, checked: bool = True) -> None:
        """Register what listens at `port` of 127.0.0.1, and return when it passes.

        It is checked by its `/ready`, once a second; unchecked it passes whatever it does.
        """
        service: dict[str, object] = {"ID": name, "Name": SERVICE, "Port": port}
        if checked:
            url = f"http://127.0.0.1:{port}/ready"
            service["Check"] = {"HTTP": url, "Interval": "1s", "Timeout": "5s"}
        self.request("PUT", "/v1/agent/service/register", service)
        wait_for(lambda: name in self.passing(), f"{name} passes its check")

    def passing(self) -> list[str]:
        """The ids of the instances whose checks pass."""
        found = self.request("GET", f"/v1/health/service/{SERVICE}?passing=1")
        return [entry["Service"]["ID"] for entry in found]

    def request(self, method: str, path: str, document: object = None) -> Any:
        """What Consul answers. Raises urllib.error.URLError."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method)
        if self.token:
            request.add_header("X-Consul-Token", self.token)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens at the moment, for TCP nor UDP."""
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            stream = stack.enter_context(socket.socket())
            stream.bind(("127.0.0.1", 0))
            datagram = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            try:
                datagram.bind(stream.getsockname())
            except OSError:
                continue
            ports.append(stream.getsockname()[1])
    return ports
