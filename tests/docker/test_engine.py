"""tests/docker/engine: what it says where no engine can run, and what it leaves behind."""

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Images
from .docker import CANNOT, ENGINE, Docker, execute, explain
from .host import leftovers, network

pytestmark = pytest.mark.docker

# No engine answers there: `up` is to start one even where another runs.
ALONE = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def elsewhere() -> Iterator[list[str]]:
    """A network namespace, as the command that runs another in it.

    Two engines in one would take each other's bridge and rules away.
    """
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nsenter"):
        pytest.skip("a network namespace needs root, ip and nsenter")
    name = f"teracompra-{secrets.token_hex(4)}"
    created = execute("ip", "netns", "add", name)
    if created.returncode != 0:
        pytest.skip(f"no network namespace here: {created.stderr.strip()}")
    try:
        yield ["nsenter", f"--net=/run/netns/{name}"]
    finally:
        deleted = execute("ip", "netns", "delete", name)
    assert deleted.returncode == 0, explain(deleted)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like `tmp_path` with a shorter name, because sockets are to be below it."""
    return tmp_path_factory.mktemp("e")


def test_help_names_every_verb() -> None:
    done = execute(ENGINE, "--help")
    assert done.returncode == 0, explain(done)
    assert [verb for verb in ("up", "down", "status", "base") if f"  {verb} " in done.stdout] == [
        "up",
        "down",
        "status",
        "base",
    ]


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["up", "--fast"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = execute(ENGINE, *arguments)
    assert done.returncode == 2, explain(done)
    assert "Usage:" in done.stderr


def test_it_names_what_is_missing(tmp_path: Path) -> None:
    for command in ("bash", "cat", "env", "grep", "head", "id", "realpath", "sha256sum", "timeout"):
        (tmp_path / command).symlink_to(shutil.which(command) or "")
    environ = {"PATH": str(tmp_path)}
    done = execute(ENGINE, "up", "--root", str(tmp_path / "root"), environ=environ)
    assert done.returncode == CANNOT, explain(done)
    assert "missing" in done.stderr
    assert "dockerd" in done.stderr
    assert not (tmp_path / "root").exists()


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    for verb in ("up", "status", "down"):
        done = execute(ENGINE, verb, "--root", str(tmp_path), environ=ALONE)
        assert done.returncode != 0, explain(done)
    assert (tmp_path / "mine").exists()


def test_a_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 20)
    done = execute(ENGINE, "up", "--root", str(root))
    assert done.returncode == 2, explain(done)
    assert "choose a --root of 66 bytes at most" in done.stderr
    assert not root.exists()


def test_a_dockerd_that_cannot_start_shows_its_log(elsewhere: list[str], folder: Path) -> None:
    root, before = folder / "root", network(*elsewhere)
    done = execute(
        *(*elsewhere, ENGINE, "up", "--root", str(root), "--", "--storage-driver=none-such"),
        environ=ALONE,
        seconds=120,
    )
    assert done.returncode == CANNOT, explain(done)
    if "missing" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert "none-such" in done.stderr
    assert leftovers(root) == []
    assert network(*elsewhere) == before


def test_down_cleans_up_after_a_killed_engine(
    docker: Docker, images: Images, elsewhere: list[str], folder: Path
) -> None:
    root, before = folder / "root", network(*elsewhere)
    up = execute(*elsewhere, ENGINE, "up", "--root", str(root), environ=ALONE, seconds=120)
    if up.returncode == CANNOT:
        pytest.skip(f"no private Docker engine can run here: {up.stderr.strip()}")
    assert up.returncode == 0, explain(up)
    try:
        # 1. An engine with a network and a published container that runs.
        archive = folder / "image.tar"
        docker("save", "--output", str(archive), images.webhook)
        private = Docker({**os.environ, "DOCKER_HOST": f"unix://{root}/docker.sock"})
        private("load", "--input", str(archive))
        private("network", "create", "events")
        container = private(
            *("run", "--detach", "--network", "events", "--publish", "8080:8080", images.webhook)
        )
        running = Path("/proc", private.state(container, ".State.Pid"))

        # 2. Another `up` beside it is refused: it would take the bridge away.
        second = execute(
            *(*elsewhere, ENGINE, "up", "--root", str(folder / "second")), environ=ALONE
        )
        assert second.returncode == CANNOT, explain(second)
        assert "dockerd runs already" in second.stderr

        # 3. Its dockerd is killed: nothing stops the container.
        os.kill(int((root / "dockerd.pid").read_text()), signal.SIGKILL)
        assert running.exists()
    finally:
        # 4. down finds the rest.
        down = execute(*elsewhere, ENGINE, "down", "--root", str(root), environ=ALONE, seconds=120)
    assert down.returncode == 0, explain(down)
    deadline = time.monotonic() + 10  # process 1 of the host has yet to reap it
    while running.exists():
        assert time.monotonic() < deadline, (running / "status").read_text()
        time.sleep(0.1)
    assert leftovers(root) == []
    assert network(*elsewhere) == before

    # Result: no process, mount, cgroup, bridge, rule or file of the killed engine is left.
