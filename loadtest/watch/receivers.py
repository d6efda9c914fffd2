"""What the receivers report at `/metrics`."""

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from loadtest.record import ReceiverSample
from loadtest.watch.client import Client, NoAnswerError

ANSWER_SECONDS = 2.0
ASKED_AT_ONCE = 12

_SAMPLE = re.compile(r"^(\w+)(?:\{(\w+)=\"([^\"]*)\"[^}]*\})? (\S+)", re.MULTILINE)


class Receivers:
    """Asks all receivers at once; `addresses` tells which there are, as URLs."""

    def __init__(self, addresses: Callable[[], Sequence[str]]) -> None:
        self._addresses = addresses
        self._clients: dict[str, Client] = {}
        self._pool = ThreadPoolExecutor(ASKED_AT_ONCE, "receivers")

    def take(self) -> list[ReceiverSample]:
        """A sample of each."""
        addresses = self._addresses()
        for gone in self._clients.keys() - set(addresses):
            self._clients.pop(gone).close()
        for new in set(addresses) - self._clients.keys():
            self._clients[new] = Client(new, ANSWER_SECONDS)
        return list(self._pool.map(self._ask, addresses))

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients.values():
            client.close()

    def _ask(self, address: str) -> ReceiverSample:
        at = round(time.time(), 3)
        try:
            return parse(at, address, self._clients[address].get("/metrics").decode())
        except (NoAnswerError, ValueError) as error:
            return ReceiverSample(at=at, address=address, error=str(error))


def parse(at: float, address: str, text: str) -> ReceiverSample:
    """The sample in what `/metrics` answered. Raises ValueError."""
    values: dict[str, float] = {}
    events: dict[str, int] = {}
    version = ""
    for name, label, value, number in _SAMPLE.findall(text):
        if name == "webhook_events_total" and label == "outcome":
            events[value] = int(float(number))
        elif name == "webhook_build_info" and label == "version":
            version = value
        elif not label:
            values[name] = float(number)
    return ReceiverSample(
        at=at,
        address=address,
        version=version,
        events=events,
        writes=int(values.get("webhook_writes_total", 0)),
        write_seconds=round(values.get("webhook_write_seconds_sum", 0), 3),
        held_events=int(values.get("webhook_held_events", 0)),
        held_bytes=int(values.get("webhook_held_bytes", 0)),
        open_connections=int(values.get("webhook_open_connections", 0)),
        cpu_seconds=round(values.get("process_cpu_seconds_total", 0), 3),
        memory_bytes=int(values.get("process_resident_memory_bytes", 0)),
    )
