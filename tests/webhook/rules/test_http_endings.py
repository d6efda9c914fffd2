"""How a connection ends: after an answer that says so, in good time, and with no answer lost."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_network import Client
from tests.support.raw_http import post
from tests.webhook.rules.examples import examples
from tests.webhook.rules.http_requests import LIMITS, REFUSED, Request
from tests.webhook.rules.service import Service, answers, serve
from tests.webhook.rules.visits import AGELESS, DELAYS, EVENT, GET, INVALID, ending, statuses
from webhook.http.connection import DISTANCE_SECONDS, LINGER_SECONDS, UNANSWERED_SECONDS

CUT_OFF = EVENT[:-1]
SWEEP = 0.5 + 1e-3  # seconds between two looks at the time, at most
REQUEST = LIMITS.request_seconds
AGE = LIMITS.connection_age_seconds
IDLE = LIMITS.idle_seconds + DISTANCE_SECONDS


async def closed_within(client: Client, least: float, most: float) -> None:
    """Wait: it stays open for the one time, and is closed before the other."""
    await asyncio.sleep(least)
    assert not client.ended
    await asyncio.sleep(most - least)
    assert client.socket.closed


# In order


@pytest.mark.parametrize(
    "request_",
    [
        post(b"{}", "Connection: close"),
        post(b"{}", version="1.0"),
        post(b"no", "Connection: close"),
    ],
)
def test_a_client_that_says_close_is_closed_with_its_answer(request_: bytes) -> None:
    """At once: it has said that it sends no more. What it sends all the same is passed over."""

    async def test(service: Service) -> None:
        client, chatty = service.connect(), service.connect()
        client.send(request_)
        chatty.send(request_ + EVENT)
        await asyncio.sleep(0.01)
        for one in (client, chatty):
            assert len(statuses(one)) == 1
            assert ending(one) == "close"
            assert one.socket.closed
        assert len(service.taken) == 2

    serve(test, LIMITS)


@pytest.mark.parametrize("bad", REFUSED, ids=lambda one: f"{one.status}-{one.raw[:30]!r}")
def test_a_client_that_is_refused_may_read_why(bad: Request) -> None:
    """It may still be sending; a socket that is closed meanwhile would take the answer along."""

    async def test(service: Service) -> None:
        client = service.connect(room=10_000)
        client.send(bad.raw)
        await asyncio.sleep(0.01)
        assert client.ended
        for _ in range(9):
            client.send(b"a" * 1000)
            await asyncio.sleep(LINGER_SECONDS / 10)
        assert not client.socket.closed
        client.read(10_000)
        assert statuses(client)[-1] == bad.status
        await asyncio.sleep(LINGER_SECONDS + SWEEP)
        assert client.socket.closed
        assert not client.was_reset

    serve(test, LIMITS)


def test_a_client_that_is_refused_and_ends_is_closed_at_once() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(b"hello\r\n\r\n")
        await asyncio.sleep(0.01)
        client.finish()
        await asyncio.sleep(0.01)
        assert client.socket.closed

    serve(test, LIMITS)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.1]), st.integers(1, 4)), max_size=12),
    st.lists(st.booleans(), min_size=60, max_size=60),
    st.integers(0, len(EVENT) - 1),
    DELAYS,
    st.sampled_from(["age", "drain"]),
    st.floats(0, 0.5),
)
@examples(80)
def test_after_a_closing_answer_nothing_is_taken(
    reads: list[tuple[float, int]],
    valid: list[bool],
    shift: int,
    delays: list[float],
    why: str,
    when: float,
) -> None:
    """All that was taken is answered, the last of it with close, and then the end is in order.

    The reads are cut `shift` bytes into a request.
    """
    requests = [EVENT if one else INVALID for one in valid]
    limits = replace(LIMITS, connection_age_seconds=when if why == "age" else 1e6)
    limits = replace(limits, request_seconds=1e6)

    async def test(service: Service) -> None:
        draining = asyncio.create_task(drain(service, when if why == "drain" else 1e6))
        client, sent, begin = service.connect(), 0, 0
        for pause, number in reads:
            sent += number
            end = sum(map(len, requests[:sent])) + shift
            client.send(b"".join(requests)[begin:end])
            begin = end
            await asyncio.sleep(pause)
        await asyncio.sleep(40)
        taken = [200 if body == b"{}" else 422 for body in service.taken]
        assert statuses(client) == taken
        said = [one.headers.get("connection") for one in answers(client.received)]
        assert "close" not in said[:-1]
        if said[-1:] != ["close"]:
            assert len(taken) == sent
        assert not client.was_reset
        draining.cancel()

    serve(test, limits, delays)


async def drain(service: Service, after: float) -> None:
    await asyncio.sleep(after)
    await service.http.drain(500)


# In time


def test_a_quiet_connection_is_closed_when_it_has_been_idle_and_not_for_its_age() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT)
        await asyncio.sleep(IDLE - 1)
        assert not client.ended
        client.send(GET)
        await closed_within(client, IDLE, IDLE + SWEEP)
        assert statuses(client) == [200, 200]

    serve(test, replace(LIMITS, connection_age_seconds=1e6))


def test_a_connection_that_is_old_ends_with_its_next_answer() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT)
        await asyncio.sleep(AGE - 1)
        client.send(EVENT)
        await asyncio.sleep(2)
        assert not client.ended
        assert ending(client) == ""
        client.send(EVENT)
        await asyncio.sleep(0.01)
        assert statuses(client) == [200] * 3
        assert ending(client) == "close"
        assert client.ended
        assert not client.socket.closed, "another request may be on its way"
        client.send(EVENT)
        await asyncio.sleep(LINGER_SECONDS + SWEEP)
        assert client.socket.closed
        assert not client.was_reset
        assert len(service.taken) == 3

    serve(test, LIMITS)


def test_a_request_that_takes_too_long_is_told_so() -> None:
    async def test(service: Service) -> None:
        client, slow = service.connect(), service.connect()
        client.send(EVENT)
        await asyncio.sleep(1)
        client.send(CUT_OFF[:9])
        slow.send(b"G")
        for byte in range(19):
            await asyncio.sleep(REQUEST / 20)
            slow.send(GET[byte + 1 : byte + 2])  # that it goes on sending helps it nothing
        assert statuses(client) == [200]
        assert statuses(slow) == []
        await asyncio.sleep(REQUEST / 20 + SWEEP)
        assert statuses(client) == [200, 408]
        assert statuses(slow) == [408]
        for one in (client, slow):
            assert ending(one) == "close"
            assert one.ended
            assert not one.socket.closed
        assert service.http.refused == {408: 2}

    serve(test, LIMITS)


def test_who_waits_for_an_answer_is_not_told_to_be_late_nor_closed_as_idle() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT)
        await asyncio.sleep(UNANSWERED_SECONDS)
        assert statuses(client) == [200]

    serve(test, replace(AGELESS, idle_seconds=1), [UNANSWERED_SECONDS - 1])


def test_who_asks_after_a_long_silence_has_the_whole_time_again() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(GET)
        await asyncio.sleep(IDLE - 1)
        client.send(EVENT)
        await asyncio.sleep(UNANSWERED_SECONDS)
        assert statuses(client) == [200, 200]

    serve(test, AGELESS, [UNANSWERED_SECONDS - 1, 0.0])


@pytest.mark.parametrize("begin", [b"", b"\r\n"])
def test_a_connection_that_asks_nothing_is_closed_when_a_request_would_be_late(
    begin: bytes,
) -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        for _ in range(20):
            client.send(begin)
            await asyncio.sleep(REQUEST / 20 - 1e-3)
        assert not client.ended
        await asyncio.sleep(2 * SWEEP)
        assert client.socket.closed
        assert client.received == b""

    serve(test, LIMITS)


@pytest.mark.parametrize("rest", [b"", CUT_OFF, EVENT * 100 + CUT_OFF])
def test_a_connection_whose_answer_never_comes_is_lost(rest: bytes) -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT + rest)
        await closed_within(client, UNANSWERED_SECONDS, UNANSWERED_SECONDS + 2 * SWEEP)

    serve(test, AGELESS, [1e4])


def test_a_client_that_does_not_read_is_lost() -> None:
    async def test(service: Service) -> None:
        absent, slow = service.connect(room=10), service.connect(room=10)
        absent.send(EVENT)
        slow.send(EVENT * 3)
        await asyncio.sleep(REQUEST)
        assert not absent.ended
        for _ in range(100):
            slow.read(10)
            await asyncio.sleep(REQUEST / 2)
        assert absent.socket.closed
        assert statuses(slow) == [200] * 3
        await asyncio.sleep(REQUEST + SWEEP)
        assert not slow.ended

    serve(test, replace(AGELESS, idle_seconds=1e4))


def test_who_ends_gets_the_answers_that_it_is_owed() -> None:
    async def test(service: Service) -> None:
        client, silent = service.connect(), service.connect()
        client.send(EVENT * 3 + GET + CUT_OFF)
        await asyncio.sleep(0.01)
        client.finish()
        silent.finish()
        await closed_within(client, 4.9, 5.1)
        assert statuses(client) == [200] * 4
        assert len(service.taken) == 3
        assert silent.socket.closed

    serve(test, LIMITS, [5.0])
