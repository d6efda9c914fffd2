"""The images, built and run: who they run as, what is in them, how they stop."""

import json
import time
import urllib.request
from typing import Any

import pytest

from .conftest import Images
from .docker import Docker

pytestmark = pytest.mark.docker

UID = "10001"
STOP_SECONDS = 15  # above the receiver's own drain, which takes up to 10 s


def start_webhook(docker: Docker, images: Images, name: str) -> str:
    """A webhook in the network `name`, on the volume `name`; ready when this returns."""
    webhook = docker(
        *("run", "--detach", "--name", f"{name}-webhook", "--stop-timeout", str(STOP_SECONDS)),
        *("--network", name, "--network-alias", "webhook", "--publish", "127.0.0.1::8080"),
        *("--volume", f"{name}:/data", "--health-interval", "1s", images.webhook),
    )
    docker.wait_healthy(webhook)
    return webhook


def start_tgibf(docker: Docker, images: Images, name: str, *arguments: str) -> str:
    return docker(
        *("run", "--detach", "--name", f"{name}-tgibf", "--network", name),
        *("--env", "WEBHOOK=http://webhook:8080", images.tgibf, *arguments, "--json"),
    )


def summary(docker: Docker, tgibf: str) -> dict[str, Any]:
    """The JSON object that a TGIBF which has ended printed."""
    found: dict[str, Any] = json.loads(docker("logs", tgibf))
    return found


def count(docker: Docker, webhook: str) -> int:
    address = docker("port", webhook, "8080/tcp").splitlines()[0]
    with urllib.request.urlopen(f"http://{address}/events/count", timeout=10) as answer:
        return int(json.load(answer)["count"])


@pytest.mark.parametrize("part", ["webhook", "tgibf"])
def test_what_is_in_an_image(docker: Docker, images: Images, part: str) -> None:
    def inside(command: str) -> str:
        image = getattr(images, part)
        return docker(
            "run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", command
        )

    assert inside("id -u; id -g").split() == [UID, UID]
    assert inside("command -v python3") == "/venv/bin/python3"
    assert inside("python3 -c 'import pip' 2>&1 || true").endswith("No module named 'pip'")
    assert inside("for tool in cc gcc make; do command -v $tool; done; true") == ""
    assert inside("ls /app") == part
    assert inside(f"find /app/{part} -name tests -o -name Dockerfile -o -name __pycache__") == ""
    assert inside("touch /app/file /venv/file 2>/dev/null || echo refused") == "refused"


def test_events_outlive_the_container(docker: Docker, images: Images, name: str) -> None:
    # 1. A webhook as its own user, as process 1: it is what SIGTERM reaches.
    webhook = start_webhook(docker, images, name)
    _, process = docker("top", webhook, "-eo", "pid,uid,args").splitlines()
    assert process.split()[1:] == [UID, "python3", "-m", "webhook"]

    # 2. Two bursts, 1,000 and 2,000 events: every one is acknowledged and counted.
    tgibf = start_tgibf(docker, images, name, "--bursts", "2")
    assert docker("wait", tgibf, seconds=120) == "0", docker.logs(tgibf)
    told = summary(docker, tgibf)
    assert told["acked"] == told["sent"] == 3000
    assert count(docker, webhook) == 3000

    # 3. It stops by SIGTERM, in its own time.
    began = time.monotonic()
    docker("stop", webhook)
    assert time.monotonic() - began < STOP_SECONDS
    assert docker.state(webhook, ".State.ExitCode") == "0", docker.logs(webhook)
    assert " ERROR " not in docker.logs(webhook)

    # 4. The same container goes on where it was; so does a new one on the same volume.
    docker("start", webhook)
    docker.wait_healthy(webhook)
    assert count(docker, webhook) == 3000
    docker("rm", "--force", webhook)
    webhook = start_webhook(docker, images, name)
    assert count(docker, webhook) == 3000

    # Result: what was acknowledged outlives a stop and the container itself.


def test_tgibf_accounts_for_everything_when_it_is_stopped(
    docker: Docker, images: Images, name: str
) -> None:
    webhook = start_webhook(docker, images, name)
    tgibf = start_tgibf(docker, images, name, "--rate", "200", "--seconds", "60", "--quiet")
    docker.wait_until(webhook, lambda: count(docker, webhook) > 0, "at work")

    docker("stop", tgibf)

    assert docker.state(tgibf, ".State.ExitCode") == "0", docker.logs(tgibf)
    told = summary(docker, tgibf)
    assert 0 < told["sent"] < 200 * 60
    assert told["acked"] == told["sent"] == count(docker, webhook)


def test_a_bad_setting_stops_the_start_with_its_name(docker: Docker, images: Images) -> None:
    container = docker("create", "--env", "WEBHOOK_WINDOW_SECONDS=soon", images.webhook)
    try:
        docker("start", container)
        assert docker("wait", container) != "0"
        assert "WEBHOOK_WINDOW_SECONDS=soon" in docker.logs(container)
    finally:
        docker("rm", "--force", "--volumes", container)
