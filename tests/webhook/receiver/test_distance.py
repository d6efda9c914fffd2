"""Kept-alive connections with pauses around every limit, over a network that takes its time."""

import asyncio
import random
from collections import Counter
from pathlib import Path

from tests.support.checked_receiver import Receiver
from tests.support.raw_http import post
from tests.support.relay import relay

CONNECTIONS = 300
AGE_SECONDS, IDLE_SECONDS = 2.0, 6.0
LIMITS = (0.5, 1.0, AGE_SECONDS, 5.0, IDLE_SECONDS)  # of the sweep, the age, idleness, and two more
AWAY_SECONDS = 0.04
REQUEST = post(b'{"type": "call.new"}')


async def client(port: int, begins: float, pauses: list[float]) -> Counter[str]:
    """POST, pause, POST, ... on one connection as long as it is open; what came of each."""
    outcomes: Counter[str] = Counter()
    await asyncio.sleep(begins)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for pause in pauses:
        if reader.at_eof():  # it was closed in the pause, and the client knows
            outcomes["opened again"] += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"accepted": 1}'))
        except (asyncio.IncompleteReadError, ConnectionError):
            outcomes["unanswered"] += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        outcomes["answered"] += head.startswith(b"HTTP/1.1 200")
        if b"connection: close" in head.lower():
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(pause)
    writer.close()
    return outcomes


def test_no_post_runs_into_a_close(store_path: Path) -> None:
    chance = random.Random(7)

    async def all_clients(port: int) -> Counter[str]:
        async with relay(port, AWAY_SECONDS) as away:
            clients = []
            for number in range(CONNECTIONS):
                around = LIMITS[number % len(LIMITS)] + chance.uniform(-0.2, 0.2)
                pauses = [around, around, 0.0] if around < 4 else [around, 0.0]
                clients.append(client(away, chance.uniform(0, 1), pauses))
            return sum(await asyncio.gather(*clients), Counter())

    with Receiver(
        store_path, connection_age_seconds=AGE_SECONDS, idle_seconds=IDLE_SECONDS
    ) as receiver:
        outcomes = asyncio.run(all_clients(receiver.port))
        assert outcomes["unanswered"] == 0
        assert outcomes["answered"] == receiver.count() >= 2 * CONNECTIONS
