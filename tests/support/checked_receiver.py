"""A receiver in a process of its own, and requests to it."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path

from harness.http import Answer, count, request
from harness.receiver import ReceiverProcess
from harness.waiting import wait_for

EVENT = {"call_id": "1463669263.30033", "type": "call.new"}


class Receiver(ReceiverProcess):
    """A receiver on `store` (a path or a URL); the test fails if it is not well at the end.

    That is: it logged an error (but `expect_errors`), or holds events or connections of clients
    that have gone (but `expect_clients`). Settings are keywords: `window_seconds=10`.
    """

    def __init__(
        self,
        store: Path | str,
        *,
        expect_errors: bool = False,
        expect_clients: bool = False,
        command: Sequence[str] = (),
        **settings: object,
    ) -> None:
        url = store if isinstance(store, str) else f"sqlite:///{store}"
        super().__init__({"store": url, **settings}, command=command)
        self._expect_errors = expect_errors
        self._expect_clients = expect_clients

    def __exit__(self, kind: object = None, *_: object) -> None:
        if kind is None and not self._expect_errors and self.process.poll() is None:
            self._assert_well()
        code = self.stop()
        if kind is None and not self._expect_errors:
            faults = [line for line in self._lines if " ERROR " in line or " CRITICAL " in line]
            assert not faults, f"the receiver logged errors:\n{self.log}"
            assert code in {0, -signal.SIGKILL}, f"exit code {code}:\n{self.log}"

    def _assert_well(self) -> None:
        """Nothing is left of those who have gone."""
        if "draining" not in self.log:
            if not self._expect_clients:
                wait_for(lambda: self.metric("webhook_open_connections") == 1, "no client left")
            wait_for(lambda: self.metric("webhook_held_events") == 0, "no event held")

    # Requests

    def request(
        self, method: str, path: str, body: bytes | None = None, seconds: float = 15
    ) -> Answer:
        """One request on a connection of its own, whatever its status."""
        return request(method, f"{self.url}{path}", body, seconds)

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
        return count(self.url).events

    def metric(self, name: str) -> float:
        """A sample of `/metrics`, named with its labels."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        raise KeyError(name)
