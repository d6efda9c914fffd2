"""A receiver as a child process: what the demo, the benchmarks and the tests start."""

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from tools.root import ROOT
from tools.say import say
from webhook.settings import PREFIX

START_SECONDS = 30.0
STOP_SECONDS = 30.0


class ReceiverError(RuntimeError):
    """A receiver did not start; the message has its log."""

    def __init__(self, log: str) -> None:
        super().__init__(f"the receiver did not start:\n{log}")
        self.log = log

    @property
    def reason(self) -> str:
        """Why it could not, in its own words."""
        return last_line(self.log).removeprefix("CRITICAL webhook: could not start: ")


class ReceiverProcess:
    """`python -m webhook` in a process of its own; a context manager that stops it.

    `settings` are given without `WEBHOOK_`, in any case; the address is `127.0.0.1:0` unless set,
    so that the kernel picks a port. `command` goes before the interpreter (a tracer, limits),
    `module` is run in place of `webhook`; `checkout` is the repository that it is of.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        *,
        command: Sequence[str] = (),
        module: str = "webhook",
        checkout: Path = ROOT,
    ) -> None:
        given = {"ADDRESS": "127.0.0.1:0"}
        given |= {name.upper(): str(value) for name, value in settings.items()}
        others = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        self._environ = others | {PREFIX + name: value for name, value in given.items()}
        self._command = [*command, sys.executable, "-m", module]
        self._checkout = checkout
        self._lines: list[str] = []
        self._reader: threading.Thread
        self._told = False
        self.process: subprocess.Popen[str]
        self.url = ""
        """Such as `http://127.0.0.1:40123`, once it listens."""

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return "".join(self._lines)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The receiver's own process, even if a tracer started it."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def launch(self) -> Self:
        """Start the process, without waiting for it to listen.

        It gets a process group of its own: a Ctrl-C is for its owner, who stops it in its turn.
        """
        self.process = subprocess.Popen(
            self._command,
            cwd=self._checkout,
            env=self._environ,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        return self

    def start(self) -> Self:
        """Start it, and return when it listens. Raises ReceiverError if it does not."""
        self.launch()
        try:
            self._await_listening()
        except BaseException:  # a Ctrl-C too: nobody else would end it
            self._end_all()
            raise
        return self

    def _await_listening(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._end_all()
                raise ReceiverError(self.log)
            time.sleep(0.01)

    def _end_all(self) -> None:
        """Kill it, and with it a tracer that started it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def _listens(self) -> bool:
        match = re.search(r"listening on (https?://\S+)", self.log)
        if match:
            self.url = match[1]
        return bool(match)

    def ready(self) -> bool:
        """Whether it takes events now."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _read_log(self) -> None:
        if self.process.stderr is not None:
            self._lines.extend(iter(self.process.stderr.readline, ""))

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """SIGTERM. A second one would cut the drain short."""
        os.kill(self.pid, signal.SIGTERM)
        self._told = True

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        code = self.process.wait(seconds)
        self._reader.join()
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def stop(self) -> int:
        """Stop it as an orchestrator would; its exit code."""
        if self.process.poll() is None and not self._told:
            self.terminate()
        return self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_at(
    port: int, settings: Mapping[str, object], *, command: Sequence[str] = ()
) -> ReceiverProcess:
    """One that listens at `port` of 127.0.0.1, or, where somebody else does, at a free one.

    Raises ReceiverError.
    """
    receiver = ReceiverProcess({**settings, "address": f"127.0.0.1:{port}"}, command=command)
    try:
        return receiver.start()
    except ReceiverError as error:
        if os.strerror(errno.EADDRINUSE) not in error.reason:
            raise
    say(f"port {port} is taken; using another one")
    return ReceiverProcess(settings, command=command).start()


def last_line(log: str) -> str:
    """What a receiver has said last, without the time; empty if it said nothing."""
    lines = log.strip().splitlines() or [""]
    return re.sub(r"^[\d-]+ [\d:,]+ ", "", lines[-1])


def _is_ours(name: str) -> bool:
    return name == "WEBHOOK" or name.startswith(PREFIX)
