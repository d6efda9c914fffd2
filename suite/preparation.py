"""What tests need, installed while the quick ones run: Debian packages, the servers' programs.

This happens in the background, at the lowest priority, and ends with this process. Only a package
manager is never interrupted: half an installation is worse than a late end.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tools.debian import can_install, install
from tools.guarded import guarded
from tools.root import ROOT
from tools.say import say

SCRIPTS = ROOT / "scripts"
SHOW_EVERY_SECONDS = 15.0
PATIENT = ("nice", "-n", "19")


class Preparation:
    """Installs `packages`, if this user may, then brings `servers`; from `with` until its end."""

    def __init__(self, packages: Sequence[str], servers: Sequence[str]) -> None:
        self._packages = sorted(set(packages)) if can_install() else []
        self._commands = _commands(servers)
        self._installed = threading.Event()
        self._brought = threading.Event()
        self._thread = threading.Thread(target=self._work, name="preparation")
        self._log = tempfile.NamedTemporaryFile("w+", prefix="teracompra-", suffix=".log")  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()  # which ends it
        if self._thread.is_alive() and not self._installed.is_set():
            say("waiting for the package manager, which must not be interrupted")
        self._thread.join()
        self._log.close()

    def failures(self) -> list[str]:
        """What could not be installed since the last call, in words."""
        new, self._failures = self._failures, []
        return new

    def await_packages(self) -> None:
        """Return when the packages are installed, or can't be."""
        self._await(self._installed, "Debian packages")

    def await_servers(self) -> None:
        """Return when the servers' programs are ready, or unavailable."""
        self._await(self._brought, "the servers' programs")

    def _await(self, event: threading.Event, what: str) -> None:
        """Return when `event` has come, showing now and then how far it is."""
        if event.wait(0.2):
            return
        say(f"waiting for {what}")
        began = time.monotonic()
        while not event.wait(SHOW_EVERY_SECONDS):
            if line := self._last_line():
                print(f"    {line}", file=sys.stderr, flush=True)
        say(f"{what} are ready, after {time.monotonic() - began:.0f} s")

    def _last_line(self) -> str:
        lines = Path(self._log.name).read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _work(self) -> None:
        try:
            if self._packages:
                install(self._packages, patient=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self._failures.append(f"Debian packages: {error}")
        finally:
            self._installed.set()
        try:
            for command in self._commands:
                self._bring(command)
        finally:
            self._brought.set()

    def _bring(self, command: Sequence[str]) -> None:
        if self._stopped:
            return
        with subprocess.Popen(
            guarded([*PATIENT, sys.executable, *command]),
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process:
            self._process = process
            if process.wait() and not self._stopped:
                text = Path(self._log.name).read_text(errors="replace")
                self._failures.append("\n".join(text.splitlines()[-20:]))
            self._process = None


def _commands(servers: Sequence[str]) -> list[list[str]]:
    """The scripts that bring these servers' programs; a second time they only look."""
    binaries = [name for name in servers if name != "cassandra"]
    commands = [[str(SCRIPTS / "cassandra"), "get"]] if "cassandra" in servers else []
    if binaries:
        commands.append([str(SCRIPTS / "binaries"), "get", *binaries])
    return commands
