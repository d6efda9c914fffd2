"""An engine, started if none answers, and the two images, built as the README has it."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .docker import CANNOT, ENGINE, Docker, execute, explain
from .host import leftovers, network


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A client of an engine that answers; a private one leaves nothing behind."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command on this machine")
    if execute("docker", "version").returncode == 0:
        yield Docker()
        return
    root = tmp_path_factory.mktemp("engine") / "root"
    before = network() if shutil.which("iptables-save") and os.geteuid() == 0 else []
    up = execute(ENGINE, "up", "--root", str(root), seconds=120)
    if up.returncode == CANNOT:
        pytest.skip(f"no Docker engine can run here: {up.stderr.strip()}")
    assert up.returncode == 0, explain(up)
    try:
        # Where this cannot be made, the build itself asks the image registry.
        base = execute(ENGINE, "base", "--root", str(root), seconds=280)
        assert base.returncode in (0, CANNOT), explain(base)
        address = re.search(r"DOCKER_HOST=(\S+)", up.stdout)
        assert address, explain(up)
        yield Docker({**os.environ, "DOCKER_HOST": address[1]})
    finally:
        down = execute(ENGINE, "down", "--root", str(root), seconds=120)
    assert down.returncode == 0, explain(down)
    assert leftovers(root) == []
    assert network() == before


@dataclass(frozen=True)
class Images:
    """Names of the images under test."""

    webhook: str
    tgibf: str


@pytest.fixture(scope="session")
def images(docker: Docker) -> Iterator[Images]:
    token = secrets.token_hex(4)
    images = Images(f"teracompra-test/webhook:{token}", f"teracompra-test/tgibf:{token}")
    built = []
    try:
        for part, name in (("webhook", images.webhook), ("tgibf", images.tgibf)):
            docker("build", "--file", f"{part}/Dockerfile", "--tag", name, ".", seconds=280)
            built.append(name)
        yield images
    finally:
        if built:
            docker("image", "rm", "--force", *built)


@pytest.fixture
def name(docker: Docker) -> Iterator[str]:
    """A name for a test's network, volume and containers, all removed after it."""
    name = f"teracompra-test-{secrets.token_hex(4)}"
    docker("network", "create", name)
    try:
        yield name
    finally:
        containers = docker("ps", "--all", "--quiet", "--filter", f"name={name}").split()
        if containers:
            docker("rm", "--force", "--volumes", *containers)
        docker("network", "rm", name)
        if docker("volume", "ls", "--quiet", "--filter", f"name={name}"):
            docker("volume", "rm", name)


@pytest.fixture
def compose(docker: Docker) -> list[str]:
    """The compose command of this machine, as the first words of an argument list."""
    if execute("docker", "compose", "version", environ=docker.environ).returncode == 0:
        return ["docker", "compose"]
    if Path(shutil.which("docker-compose") or "").is_file():
        return ["docker-compose"]
    pytest.skip("neither `docker compose` nor docker-compose on this machine")
