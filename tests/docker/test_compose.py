"""compose.yaml: one command brings up the receiver and a bounded load."""

import json
import re
import secrets
import urllib.request

import pytest

from .docker import CommandError, Docker

pytestmark = pytest.mark.docker


def test_compose_receives_and_counts_black_friday(docker: Docker, compose: list[str]) -> None:
    """And its containers can write nowhere but to their stores, and have no privileges."""
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

        webhook = container("webhook")
        status = docker("exec", webhook, "cat", "/proc/1/status")
        assert re.findall(r"^(?:CapBnd|NoNewPrivs):\t(\w+)$", status, re.MULTILINE) == [
            "0" * 16,
            "1",
        ]
        with pytest.raises(CommandError, match="Read-only file system"):
            docker("exec", webhook, "touch", "/usr/there")
        for one in (webhook, tgibf):
            assert docker.state(one, ".HostConfig.ReadonlyRootfs") == "true"
            assert docker.state(one, "json .HostConfig.CapDrop") == '["ALL"]'

        run("stop")
        assert docker.state(webhook, ".State.ExitCode") == "0", docker.logs(webhook)
        assert " ERROR " not in docker.logs(webhook)
    finally:
        run("down", "--volumes")
