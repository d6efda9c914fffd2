"""Clients that send a stream of requests, and what they should read for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.support.memory_network import Client
from tests.support.raw_http import RawAnswer, post
from tests.webhook.rules.http_requests import LIMITS, STREAMS, Request, Stream
from tests.webhook.rules.service import Service, answers, echo

EVENT = post(b"{}")
INVALID = post(b"no")
GET = b"GET /events/count HTTP/1.1\r\nHost: test\r\n\r\n"
AGELESS = replace(LIMITS, connection_age_seconds=1e6)


@dataclass(frozen=True)
class Visit:
    """How a client sends its stream and reads the answers."""

    stream: Stream
    pauses: Sequence[float]
    """After each read of the server, again and again; 0 for as soon as the loop comes around."""
    room: int | None = None
    """Bytes of answers that may be on their way; None for any number."""
    finishes: bool = False
    """Whether it says that it sends no more."""


DELAYS = st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.3, 2.0, 25.0]), min_size=1, max_size=5)
"""Until answers."""

PAUSES = st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.2]), min_size=1, max_size=4)
VISITS = st.builds(
    Visit,
    STREAMS.map(Stream.as_promised),
    PAUSES,
    st.sampled_from([None, None, 50, 400]),
    st.booleans(),
)

Gist = tuple[int, bytes, str]
"""Of an answer: status, body where it is no problem, what it says of the connection."""


def right_answer(request: Request) -> Gist:
    """What it should be."""
    closes = request.status or not request.keep_alive
    connection = "close" if closes else "keep-alive" if request.version == "1.0" else ""
    if request.status or (request.is_events and request.body == b"no"):
        return request.status or 422, b"", connection
    if request.is_events:
        return 200, b'{"accepted": %d}' % len(request.body), connection
    return 200, echo(request.method, request.path, len(request.body)), connection


def final(client: Client) -> list[RawAnswer]:
    """Its answers; 100 Continue is none."""
    return [one for one in answers(client.received) if one.status != 100]


def given_answers(client: Client) -> list[Gist]:
    """What they were."""
    return [
        (one.status, one.body if one.status == 200 else b"", one.headers.get("connection", ""))
        for one in final(client)
    ]


def statuses(client: Client) -> list[int]:
    return [one.status for one in answers(client.received)]


def ending(client: Client) -> str:
    """What the last answer says of the connection."""
    return answers(client.received)[-1].headers.get("connection", "")


async def visit(service: Service, how: Visit, client: Client | None = None) -> Client:
    """From the first byte until all is long over."""
    client = client or service.connect(how.room)
    for number, piece in enumerate(how.stream.pieces()):
        client.send(piece)
        await asyncio.sleep(how.pauses[number % len(how.pauses)])
    await asyncio.sleep(0.01)
    if how.finishes:
        client.finish()
    if how.room is not None:
        for _ in range(100):  # a slow reader, not an absent one
            client.read(how.room)
            await asyncio.sleep(0.5)
    await asyncio.sleep(40)
    return client
