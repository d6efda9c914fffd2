"""The docker command, for tests: argument lists in, standard output out."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = str(ROOT / "tests" / "docker" / "engine")
CANNOT = 3  # its exit code for "this machine lacks something"


class CommandError(AssertionError):
    """A command failed; the message has all that it printed."""


@dataclass(frozen=True)
class Docker:
    """A docker client for one engine: `environ` says which."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def __call__(self, *arguments: str, seconds: float = 60) -> str:
        """Standard output of `docker ARGUMENTS`, stripped. Raises CommandError."""
        return self.run("docker", *arguments, seconds=seconds)

    def run(self, *command: str, seconds: float = 60, **environ: str) -> str:
        """The same for any command. Raises CommandError."""
        done = execute(*command, seconds=seconds, environ={**self.environ, **environ})
        if done.returncode != 0:
            raise CommandError(f"{explain(done)}")
        return done.stdout.strip()

    def state(self, container: str, template: str) -> str:
        """A field of the container's state, such as `.Health.Status`."""
        return self("inspect", "--format", f"{{{{{template}}}}}", container)

    def logs(self, container: str) -> str:
        """The end of both of the container's output streams."""
        done = execute("docker", "logs", "--tail", "200", container, environ=self.environ)
        return done.stdout + done.stderr

    def wait_until(
        self, container: str, condition: Callable[[], bool], what: str, seconds: float = 60
    ) -> None:
        """Ask again and again; past the time the failure shows the container's state and logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{container} not {what} within {seconds} s; its state: "
                    f"{self.state(container, 'json .State')}\nits logs:\n{self.logs(container)}"
                )
            time.sleep(0.2)

    def wait_healthy(self, container: str) -> None:
        """Until the image's own health check has passed."""
        self.wait_until(
            container,
            lambda: self.state(container, ".State.Health.Status") == "healthy",
            "healthy",
        )


def execute(
    *command: str, seconds: float = 60, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root, whatever its exit code."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def explain(done: subprocess.CompletedProcess[str]) -> str:
    """A finished command for a message: what it was, how it ended, what it printed."""
    return f"{' '.join(done.args)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
