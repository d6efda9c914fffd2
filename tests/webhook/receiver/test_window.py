"""The count over a whole, shortened window: rises, holds its peak, falls to nothing."""

import json
import threading
import time
from pathlib import Path
from typing import Any, Self

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import rows_since
from webhook.window import Window

WINDOW_SECONDS = 6
INTERVAL_SECONDS = 0.01


class SteadyClient:
    """Posts an event every hundredth of a second and notes when each was sent and answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.exchanged: list[tuple[float, float]] = []
        """(sent, answered) in Unix seconds, for each acknowledged event."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with RawConnection(self._port) as raw:
            while not self._stop.wait(INTERVAL_SECONDS):
                sent = time.time()
                raw.send(post(b'{"type": "call.new"}'))
                assert raw.answer().status == 200
                self.exchanged.append((sent, time.time()))


def check(receiver: Receiver, client: SteadyClient) -> int:
    """Hold one count against the ledger and the rows; the count.

    What was answered before the GET and sent within its window must be counted; what was answered
    before the window began, or sent after the GET was answered, must not.
    """
    before = len(client.exchanged)
    answered_before = client.exchanged[:before]
    document = json.loads(receiver.get("/events/count").body)
    end = time.time()
    count = int(document["count"])
    start = time.mktime(time.strptime(document["from"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    surely = sum(1 for sent, _ in answered_before if sent >= start)
    after = list(client.exchanged)
    at_most = sum(1 for sent, answered in after if answered >= start and sent <= end)
    assert surely <= count <= at_most + 1  # one may be on its way
    return count


def test_rises_holds_its_peak_and_falls_to_zero(store_path: Path) -> None:
    settings: dict[str, Any] = {"window_seconds": WINDOW_SECONDS, "connection_age_seconds": 600}
    with Receiver(store_path, **settings) as receiver:
        rising, plateau, falling = [], [], []
        with SteadyClient(receiver.port) as client:
            began = time.time()
            wait_for(lambda: client.exchanged, "the first event")
            while (elapsed := time.time() - began) < 2 * WINDOW_SECONDS:
                count = check(receiver, client)
                if elapsed < WINDOW_SECONDS - 1:
                    rising.append(count)
                elif elapsed > WINDOW_SECONDS + 1:
                    plateau.append(count)
                time.sleep(0.1)
        stopped = time.time()
        while time.time() < stopped + WINDOW_SECONDS + 2:
            now = time.time()
            count = check(receiver, client)
            window = Window.ending_at(now, WINDOW_SECONDS)
            if int(time.time()) == int(now):  # the clock has not ticked in between
                assert count == rows_since(store_path, window.start)
            falling.append(count)
            time.sleep(0.1)

        assert rising == sorted(rising)
        assert rising[0] < rising[-1]
        a_second = len(client.exchanged) / (stopped - began)
        assert min(plateau) >= (WINDOW_SECONDS - 1) * a_second * 0.7
        assert max(plateau) - min(plateau) <= 2 * a_second + 0.2 * max(plateau)
        assert falling == sorted(falling, reverse=True)
        assert falling[-1] == 0


def test_a_fresh_receiver_counts_what_the_one_before_stored(store_path: Path) -> None:
    with Receiver(store_path) as receiver:
        receiver.post_many(123)
    with Receiver(store_path) as receiver:
        assert receiver.count() == 123
        receiver.post_many(1)
        assert receiver.count() == 124


def test_a_get_counts_all_that_was_acknowledged_before_it(receiver: Receiver) -> None:
    """Read your writes, with other GETs under way all the time."""
    stop = threading.Event()

    def keep_reading() -> None:
        while not stop.is_set():
            receiver.count()

    readers = [threading.Thread(target=keep_reading) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for posted in range(1, 200):
            receiver.post()
            assert receiver.count() == posted
    finally:
        stop.set()
        for reader in readers:
            reader.join()


def test_gets_that_arrive_together_share_reads(receiver: Receiver) -> None:
    get = b"GET /events/count HTTP/1.1\r\nHost: test\r\n\r\n"
    with RawConnection(receiver.port) as raw:
        raw.send(get * 60)
        assert {raw.answer().status for _ in range(60)} == {200}
    assert receiver.metric("webhook_reads_total") <= 10
