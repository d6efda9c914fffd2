"""A receiver as a process of its own, as users run it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
EVENT = {"call_id": "1463669263.30033", "type": "call.new"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """`python -m webhook` on a port that the kernel picks, with `WEBHOOK_...` settings.

    Settings are given without their prefix, in any case: `window_seconds=10`. The context manager
    stops it, and fails if it logged an error that `expect_errors` did not allow.
    """

    def __init__(
        self,
        store: Path | str,
        *,
        expect_errors: bool = False,
        command: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
        **settings: object,
    ) -> None:
        url = store if isinstance(store, str) else f"sqlite:///{store}"
        given = {"ADDRESS": "127.0.0.1:0", "STORE": url}
        given |= {name.upper(): str(value) for name, value in settings.items()}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("WEBHOOK")}
        self._environ = inherited | {f"WEBHOOK_{k}": v for k, v in given.items()} | (environ or {})
        self._command = [*command, sys.executable, "-m", "webhook"]
        self._expect_errors = expect_errors
        self._log: list[str] = []
        self.process: subprocess.Popen[str]
        self.url = ""

    @property
    def log(self) -> str:
        return "".join(self._log)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The process of the receiver itself, also where a tracer started it."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def launch(self) -> Self:
        """Start the process; it may fail to start."""
        self.process = subprocess.Popen(
            self._command,
            cwd=REPOSITORY,
            env=self._environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        return self

    def start(self) -> Self:
        """Start, and return when it listens."""
        self.launch()
        wait_for(lambda: self._listening() or self.process.poll() is not None, "listening")
        if not self.url:
            raise RuntimeError(f"the receiver did not start:\n{self.log}")
        return self

    def _listening(self) -> bool:
        match = re.search(r"listening on (http://\S+)", self.log)
        if match:
            self.url = match[1]
        return bool(match)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log.append(line)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        """The exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def stop(self) -> int:
        """Stop it as an orchestrator would; its exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        code = self.stop()
        if kind is None and not self._expect_errors:
            faults = [line for line in self._log if " ERROR " in line or " CRITICAL " in line]
            assert not faults, f"the receiver logged errors:\n{self.log}"
            assert code in {0, -signal.SIGKILL}, f"exit code {code}:\n{self.log}"

    # Requests

    def request(
        self, method: str, path: str, body: bytes | None = None, seconds: float = 15
    ) -> Answer:
        """One request on a connection of its own, whatever its status."""
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, document: object = EVENT) -> Answer:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.request("POST", "/events", body)

    def post_many(self, events: int) -> None:
        """Post an array of `events` events."""
        answer = self.post([EVENT] * events)
        assert answer.json == {"accepted": events}, answer

    def count(self) -> int:
        """What `GET /events/count` says."""
        answer = self.get("/events/count")
        assert answer.status == 200, answer
        return int(answer.json["count"])

    def metric(self, name: str) -> float:
        """A sample of `/metrics`, named with its labels."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        raise KeyError(name)
