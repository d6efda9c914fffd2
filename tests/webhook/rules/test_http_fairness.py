"""At a limit who is served goes before who is not, and a newcomer before a laggard."""

import asyncio
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_network import Client
from tests.webhook.rules.examples import examples
from tests.webhook.rules.http_requests import LIMITS
from tests.webhook.rules.service import Service, serve
from tests.webhook.rules.visits import EVENT, GET, ending, statuses
from webhook.http.connection import LAG_SECONDS, SPARED_SECONDS
from webhook.http.server import SWEEP_SECONDS

MOST = 20
SOON = LAG_SECONDS + SWEEP_SECONDS + 0.1
HALF = EVENT[:-1]
UNREAD = GET * 30


def crowd(
    service: Service, sent: bytes, number: int = MOST, room: int | None = None
) -> list[Client]:
    clients = [service.connect(room) for _ in range(number)]
    for client in clients:
        client.send(sent)
    return clients


@pytest.mark.parametrize(
    ("sent", "room"), [(b"", None), (b"\r\n", None), (HALF, None), (b"PO", None), (UNREAD, 100)]
)
def test_whoever_sends_nothing_more_does_not_keep_others_out(sent: bytes, room: int | None) -> None:
    async def test(service: Service) -> None:
        idlers = crowd(service, sent, room=room)
        await asyncio.sleep(LAG_SECONDS + SWEEP_SECONDS)
        for number in range(1, MOST + 1):
            honest = service.connect()
            honest.send(EVENT)
            await asyncio.sleep(1e-3 if number > 1 else SWEEP_SECONDS)
            assert statuses(honest) == [200]
            assert service.http.gave_way["connections"] == number
            assert len(service.http.connections) == MOST
            assert sum(one.socket.closed for one in idlers) == number

    serve(test, LIMITS, most=MOST)


def test_they_keep_nobody_out_either_who_comes_in_the_next_moment() -> None:
    async def test(service: Service) -> None:
        for _ in range(10):
            crowd(service, b"")
            honest = service.connect()
            honest.send(EVENT)
            await asyncio.sleep(2 * SOON)
            assert statuses(honest) == [200]

    serve(test, LIMITS, most=MOST)


def test_a_laggard_may_read_why() -> None:
    async def test(service: Service) -> None:
        laggard = crowd(service, HALF, 1)[0]
        await asyncio.sleep(SOON)
        honest = crowd(service, EVENT, 1)[0]
        await asyncio.sleep(SOON)
        assert statuses(honest) == [200]
        assert (statuses(laggard), ending(laggard)) == ([503], "close")
        assert laggard.socket.closed

    serve(test, LIMITS, most=1)


def test_who_was_of_use_goes_last_and_only_after_a_silence() -> None:
    async def test(service: Service) -> None:
        kept = crowd(service, EVENT, MOST - 1)
        await asyncio.sleep(SPARED_SECONDS)
        silent = crowd(service, b"", 1)[0]
        late = crowd(service, EVENT, MOST)
        await asyncio.sleep(SOON)
        assert silent.socket.closed
        assert [statuses(one) for one in late] == [[200]] * MOST
        assert sum(one.ended for one in kept) == MOST - 1
        more = crowd(service, EVENT, 1)[0]
        await asyncio.sleep(SPARED_SECONDS - SOON - 0.1)
        assert not more.is_accepted
        await asyncio.sleep(SOON + SWEEP_SECONDS)
        assert statuses(more) == [200]

    serve(test, LIMITS, most=MOST)


def test_who_waits_for_an_answer_keeps_his_place() -> None:
    async def test(service: Service) -> None:
        waiting = crowd(service, EVENT)
        late = crowd(service, EVENT)
        await asyncio.sleep(19)
        assert not any(one.is_accepted for one in late)
        await asyncio.sleep(7)
        assert [statuses(one) for one in waiting] == [[200]] * MOST
        await asyncio.sleep(SPARED_SECONDS + 20)
        assert [statuses(one) for one in late] == [[200]] * MOST

    serve(test, LIMITS, [20.0], most=MOST)


def test_a_request_that_has_come_is_not_closed_over() -> None:
    """It comes in the very moment in which room is made."""

    async def test(service: Service) -> None:
        first = crowd(service, EVENT, 1)[0]
        await asyncio.sleep(SPARED_SECONDS + SOON)
        service.connect().send(EVENT)
        first.send(EVENT)
        await asyncio.sleep(0.01)
        assert statuses(first) == [200, 200]

    serve(test, LIMITS, most=1)


def test_below_the_limit_nobody_has_to_go() -> None:
    async def test(service: Service) -> None:
        silent, kept = crowd(service, b"", 3), crowd(service, EVENT, MOST - 4)
        await asyncio.sleep(LIMITS.request_seconds - 0.1)
        assert not any(one.ended for one in silent + kept)
        assert service.http.gave_way == {"bytes": 0, "connections": 0}

    serve(test, LIMITS, most=MOST)


def test_the_limit_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def test(service: Service) -> None:
        crowd(service, b"", 3 * MOST)
        await asyncio.sleep(20)

    with caplog.at_level(logging.WARNING):
        serve(test, LIMITS, most=MOST)
    (line,) = [one for one in caplog.messages if "connections are open" in one]
    assert f"{MOST} connections" in line


# What is being received

BODY = 400
HEAD = b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % BODY
TIGHT = replace(LIMITS, receiving_bytes=2000)


@pytest.mark.parametrize("trickle", [False, True])
def test_half_sent_bodies_do_not_keep_others_out(trickle: bool) -> None:
    async def test(service: Service) -> None:
        laggards = crowd(service, HEAD + b"a" * (BODY - 60), 5)
        for _ in range(15):
            await asyncio.sleep(0.1)
            for one in laggards:
                one.send(b"a" * trickle)
        for _ in range(10):
            honest = crowd(service, HEAD + b"a" * (BODY // 2), 1)[0]
            await asyncio.sleep(0.2)
            honest.send(b"a" * (BODY // 2))
            await asyncio.sleep(0.01)
            assert statuses(honest) == [200]
        assert service.http.gave_way["bytes"] == 2
        refused = [one for one in laggards if statuses(one) == [503]]
        assert len(refused) == service.http.gave_way["bytes"]
        assert service.http.refused[503] == len(refused)

    serve(test, TIGHT)


@given(st.lists(st.integers(1, 350), min_size=3, max_size=5), st.integers(1, BODY - 1))
@examples(60)
def test_the_largest_that_lags_goes_first(sizes: list[int], size: int) -> None:
    async def test(service: Service) -> None:
        laggards = {
            one: number for number in sizes for one in crowd(service, HEAD + b"a" * number, 1)
        }
        await asyncio.sleep(LAG_SECONDS)
        newcomer = crowd(service, HEAD + b"a" * size, 1)[0]
        await asyncio.sleep(0.01)
        assert service.http.receiving_bytes <= TIGHT.receiving_bytes
        assert statuses(newcomer) == []
        gone = [number for one, number in laggards.items() if statuses(one) == [503]]
        left = [number for one, number in laggards.items() if not statuses(one)]
        assert len(gone) == service.http.gave_way["bytes"]
        assert not gone or min(gone) >= max(left, default=0)
        assert bool(gone) == (sum(sizes) + size + 40 * (len(sizes) + 1) > TIGHT.receiving_bytes)

    serve(test, TIGHT)
