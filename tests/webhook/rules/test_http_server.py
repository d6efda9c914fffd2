"""Connections are accepted up to a limit, and drained in order."""

import asyncio
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_network import Client
from tests.webhook.rules.examples import examples
from tests.webhook.rules.http_requests import LIMITS
from tests.webhook.rules.service import Service, serve
from tests.webhook.rules.visits import EVENT, ending, statuses
from webhook.http.server import ACCEPTS_PER_TURN, DRAIN_QUIET_SECONDS, SWEEP_SECONDS

CLOSING = EVENT.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


@given(
    st.integers(1, 5),
    st.lists(st.sampled_from([0.0, 0.0, 0.1, 1.0]), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.47, 2.93]),
)
@examples(50)
def test_past_the_limit_connections_wait_and_none_is_lost(
    most: int, pauses: list[float], seconds: float
) -> None:
    async def test(service: Service) -> None:
        clients = []
        for pause in pauses:
            client = service.connect()
            client.send(CLOSING)
            clients.append(client)
            await asyncio.sleep(pause)
            assert len(service.http.connections) <= most
            waiting = len(service.network.listener.waiting)
            assert not waiting or not pause or len(service.http.connections) == most
        await asyncio.sleep(seconds * len(clients) + 1)
        for client in clients:
            assert statuses(client) == [200]
            assert not client.was_reset
        assert service.http.accepted == len(clients)

    serve(test, LIMITS, [seconds], most)


def test_many_are_accepted_at_once_but_those_that_are_here_have_their_turn() -> None:
    turns: list[int] = []

    async def test(service: Service) -> None:
        for _ in range(2 * ACCEPTS_PER_TURN + 10):
            service.connect()
        while service.network.listener.waiting:
            await asyncio.sleep(0)
            turns.append(service.http.accepted)
        assert ACCEPTS_PER_TURN in turns
        assert turns[-1] == 2 * ACCEPTS_PER_TURN + 10

    serve(test, LIMITS, most=5000)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_when_files_run_out_the_others_wait_and_are_tried_again(number: int) -> None:
    async def test(service: Service) -> None:
        listener = service.network.listener
        here = service.connect()
        await asyncio.sleep(0.01)
        listener.errors.append(OSError(number, "exhausted"))
        waits = service.connect()
        waits.send(EVENT)
        here.send(EVENT)
        await asyncio.sleep(0.01)
        assert not waits.is_accepted
        assert statuses(here) == [200]
        await asyncio.sleep(SWEEP_SECONDS)
        assert statuses(waits) == [200]

        listener.errors.append(OSError(number, "exhausted"))
        later = service.connect()
        await asyncio.sleep(0.01)
        assert not later.is_accepted
        here.abort()  # which makes room
        await asyncio.sleep(0.01)
        assert later.is_accepted

    serve(test, LIMITS)


def test_an_error_of_one_connection_is_not_one_of_the_next() -> None:
    async def test(service: Service) -> None:
        service.network.listener.errors.append(OSError(errno.ECONNABORTED, "gone already"))
        client = service.connect()
        client.send(EVENT)
        await asyncio.sleep(0.01)
        assert statuses(client) == [200]

    serve(test, LIMITS)


# Draining


def test_a_drain_without_connections_is_over_as_soon_as_nobody_comes() -> None:
    async def test(service: Service) -> None:
        began = service.loop.time()
        await service.http.drain(10)
        assert service.loop.time() - began <= 3 * DRAIN_QUIET_SECONDS
        assert service.network.listener.closed

    serve(test, LIMITS)


def test_who_comes_during_a_drain_is_served_and_told_to_close() -> None:
    """A quiet connection is waited for, and may come with a request to the last."""

    async def test(service: Service) -> None:
        quiet = service.connect()
        quiet.send(EVENT)
        await asyncio.sleep(1)
        began = service.loop.time()
        draining = asyncio.create_task(service.http.drain(10))
        await asyncio.sleep(7)
        late = service.connect()
        late.send(EVENT)
        await asyncio.sleep(0.1)
        assert (statuses(late), ending(late)) == ([200], "close")
        late.finish()
        assert ending(quiet) == ""
        await asyncio.sleep(2)
        assert service.network.listener.closed
        assert not quiet.ended
        assert not draining.done()
        quiet.send(EVENT)
        await asyncio.sleep(0.1)
        assert (statuses(quiet), ending(quiet)) == ([200, 200], "close")
        quiet.finish()
        await draining
        assert service.loop.time() - began < 9.5

    serve(test, LIMITS)


def test_a_drain_ends_in_time_whatever_is_still_open() -> None:
    async def test(service: Service) -> None:
        quiet = service.connect()
        await asyncio.sleep(1)
        began = service.loop.time()
        await service.http.drain(10)
        assert 10 <= service.loop.time() - began <= 10.1
        assert not quiet.ended

    serve(test, LIMITS)


@pytest.mark.parametrize("number", [1, ACCEPTS_PER_TURN + 1])
def test_all_that_wait_as_the_door_closes_are_let_in(number: int) -> None:
    """They come at the very moment, and are connected already: a close would reset them."""

    async def test(service: Service) -> None:
        clients: list[Client] = []

        def connect() -> None:
            clients.extend(service.connect() for _ in range(number))
            for client in clients:
                client.send(EVENT)

        service.loop.call_later(DRAIN_QUIET_SECONDS, connect)
        draining = asyncio.create_task(service.http.drain(10))
        await asyncio.sleep(DRAIN_QUIET_SECONDS + 0.01)
        assert service.network.listener.closed
        assert [statuses(client) for client in clients] == [[200]] * number
        for client in clients:
            client.finish()
        await draining

    serve(test, LIMITS)
