"""compose.yaml: one command brings up the receiver and a bounded load."""

import json
import secrets
import urllib.request

import pytest

from .docker import Docker

pytestmark = pytest.mark.docker


def test_compose_receives_and_counts_black_friday(docker: Docker, compose: list[str]) -> None:
    project = f"teracompratest{secrets.token_hex(4)}"
    command = [*compose, "--project-name", project]

    def run(*arguments: str) -> str:
        # Port 0: the kernel picks one.
        return docker.run(*command, *arguments, seconds=280, HOST_PORT="0", TGIBF_BURSTS="2")

    def container(service: str) -> str:
        labels = {"project": project, "service": service}
        filters = [f"--filter=label=com.docker.compose.{key}={labels[key]}" for key in labels]
        return docker("ps", "--all", "--quiet", *filters)

    try:
        run("up", "--detach", "--build")
        tgibf = container("tgibf")
        assert docker("wait", tgibf, seconds=120) == "0", docker.logs(tgibf)

        address = run("port", "webhook", "8080")
        assert address.startswith("127.0.0.1:")
        with urllib.request.urlopen(f"http://{address}/events/count", timeout=10) as answer:
            assert json.load(answer)["count"] == 3000

        run("stop")
        webhook = container("webhook")
        assert docker.state(webhook, ".State.ExitCode") == "0", docker.logs(webhook)
        assert " ERROR " not in docker.logs(webhook)
    finally:
        run("down", "--volumes")
