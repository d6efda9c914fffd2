"""The answers that a connection owes to its requests, over sockets in memory."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.raw_http import post
from tests.webhook.rules.examples import examples
from tests.webhook.rules.http_requests import CUTS, LIMITS, Request, Stream, served
from tests.webhook.rules.service import Service, answers, echo, serve
from tests.webhook.rules.visits import (
    AGELESS,
    DELAYS,
    EVENT,
    GET,
    INVALID,
    VISITS,
    Visit,
    ending,
    final,
    given_answers,
    right_answer,
    statuses,
    visit,
)
from webhook.http.connection import PIPELINED, REQUESTS_A_TURN, UNSENT_BYTES

SLICE_BYTES = 4096  # of input between two looks at the bounds
SLICE = SLICE_BYTES // len(EVENT) + 1  # requests, at most


@given(VISITS, DELAYS)
@examples(80)
def test_each_request_has_its_answer_in_order_however_all_is_cut(
    how: Visit, delays: list[float]
) -> None:
    async def test(service: Service) -> None:
        client = await visit(service, how)
        answered = how.stream.answered
        assert given_answers(client) == [right_answer(one) for one in answered]
        assert len(service.taken) == sum(one.is_events and not one.status for one in answered)
        assert sum(service.http.refused.values()) == sum(one.status > 0 for one in answered)

    serve(test, AGELESS, delays)


@given(
    st.lists(served().filter(lambda one: one.keep_alive), max_size=4),
    served(),
    st.floats(0, 0.999),
    CUTS,
    DELAYS,
    st.booleans(),
)
@examples(60)
def test_a_request_that_is_cut_off_takes_nothing_from_those_before_it(
    whole: list[Request],
    last: Request,
    part: float,
    cuts: list[int],
    delays: list[float],
    finishes: bool,
) -> None:
    """Its client ends in the middle of it, or waits there until it is told that it is too late."""
    cut_off = last.raw[: int(len(last.raw) * part)]
    stream = Stream([*whole, Request(cut_off)], cuts, b"")

    async def test(service: Service) -> None:
        client = await visit(service, Visit(stream, [0.0], None, finishes))
        right = [right_answer(one) for one in whole]
        late = [(408, b"", "close")] if cut_off and not finishes else []
        assert given_answers(client) == [*right, *late]
        assert len(service.taken) == sum(one.is_events for one in whole)

    serve(test, AGELESS, delays)


@given(st.integers(0, 3), DELAYS, st.sampled_from([0, 400, 501]))
@examples(40)
def test_a_client_that_waits_for_100_continue_has_that_or_its_answer(
    before: int, delays: list[float], size: int
) -> None:
    """It sends the body when it has been told to; behind other requests that may take a while."""
    body = b"a" * size
    head, separator, _ = post(body, "Expect: 100-continue").partition(b"\r\n\r\n")
    status = 413 if size > LIMITS.body_bytes else 200

    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT * before + head + separator)
        for _ in range(100):
            await asyncio.sleep(1)
            if len(statuses(client)) > before:
                break
        assert statuses(client)[: before + 1] == [200] * before + [413 if status == 413 else 100]
        if status == 200:
            client.send(body)
            await asyncio.sleep(30)
        assert [one.status for one in final(client)] == [200] * before + [status]

    serve(test, replace(AGELESS, request_seconds=200), delays)


def test_who_is_refused_meanwhile_is_not_told_to_continue() -> None:
    """The body came unasked, while an answer before this one was still due."""
    head = b"POST /events HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
    body = b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + b"a" * 501

    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT + head + body)
        await asyncio.sleep(6)
        assert statuses(client) == [200, 413]

    serve(test, LIMITS, [5.0])


def test_an_answer_does_not_overtake_the_rest_of_another() -> None:
    """There is room for it again, but the rest of the one before it goes first."""

    async def test(service: Service) -> None:
        client = service.connect(room=10)
        client.send(EVENT)
        await asyncio.sleep(5.1)
        client.send(EVENT)
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(service.taken) == 2
        service.loop.call_at(service.loop.time() + 5 - 5e-10, client.read, 10)
        for _ in range(100):
            await asyncio.sleep(5.5)
            client.read(10)
        assert statuses(client) == [200, 200]

    serve(test, AGELESS, [5.0])


def test_an_answer_without_a_length_ends_with_the_connection_for_http_1_0() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(b"GET /unsized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        newer = service.connect()
        newer.send(b"GET /unsized HTTP/1.1\r\nHost: test\r\n\r\n")
        await asyncio.sleep(0.01)
        assert (statuses(client), ending(client)) == ([200], "close")
        assert answers(newer.received)[0].body == echo("GET", "/unsized", 0)
        assert not newer.ended
        assert client.ended

    serve(test, LIMITS)


@given(VISITS, DELAYS, st.floats(0, 3))
@examples(60)
def test_a_client_that_is_gone_harms_nobody(how: Visit, delays: list[float], when: float) -> None:
    async def test(service: Service) -> None:
        client = service.connect(how.room)
        visiting = asyncio.create_task(visit(service, how, client))
        await asyncio.sleep(0.001 + when)
        if not client.socket.closed:
            client.abort()
        other = service.connect()
        other.send(EVENT)
        await asyncio.sleep(30)
        assert statuses(other) == [200]
        await visiting

    serve(test, AGELESS, delays)


def test_who_waits_for_tornado_is_said_to_be_gone() -> None:
    async def test(service: Service) -> None:
        client = service.connect()
        client.send(GET + EVENT + GET)
        await asyncio.sleep(1)
        client.abort()
        await asyncio.sleep(1)
        assert service.gone == 2
        assert service.http.connections == set()

    serve(test, LIMITS, [5.0])


# Bounds


@pytest.mark.parametrize("seconds", [1.0, 3 * LIMITS.request_seconds])
def test_unanswered_requests_on_one_connection_are_bounded(seconds: float) -> None:
    """However long their answers take: it is not the client who is late."""
    most = PIPELINED + SLICE
    requests = 4 * most

    async def test(service: Service) -> None:
        client = service.connect()
        client.send(EVENT * (most + 5) + EVENT[:20])
        client.send(EVENT[20:] + EVENT * (requests - most - 6))
        await asyncio.sleep(0.5)
        assert PIPELINED <= len(service.taken) <= most
        assert client.socket.came, "what there is no room for is not read"
        assert service.http.receiving_bytes >= 5 * len(EVENT), "and what was read is held"
        for _ in range(requests):
            unanswered = len(service.taken) - len(statuses(client))
            assert unanswered <= most
            await asyncio.sleep(seconds / 3)
            assert set(statuses(client)) <= {200}
            if len(statuses(client)) == requests:
                break
        assert len(statuses(client)) == requests

    serve(test, AGELESS, [seconds])


def test_answers_that_nobody_reads_are_bounded() -> None:
    path = "/events/count?" + "a" * 500
    request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    requests = 1000

    async def test(service: Service) -> None:
        client = service.connect(room=100)
        client.send(request * (requests // 2))
        client.send(request * (requests // 2))
        await asyncio.sleep(0.1)
        before = service.asked
        for _ in range(requests):
            client.read(5000)
            client.socket.room = 5000
            await asyncio.sleep(0.001)
        assert statuses(client) == [200] * requests
        answer = len(client.received) // requests
        assert before * answer <= UNSENT_BYTES + (SLICE_BYTES // len(request) + 2) * answer

    serve(test, replace(AGELESS, header_bytes=1000))


def test_a_client_with_many_requests_lets_others_have_their_turn() -> None:
    async def test(service: Service) -> None:
        busy, other = service.connect(), service.connect()
        busy.send(INVALID * 1000)
        other.send(EVENT)
        await asyncio.sleep(0.1)
        assert service.taken.index(b"{}") <= REQUESTS_A_TURN + SLICE
        assert statuses(busy) == [422] * 1000

    serve(test, LIMITS)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400)), max_size=30))
@examples(60)
def test_what_is_being_received_is_bounded_together(parts: list[tuple[int, int]]) -> None:
    """Whoever sends on past the bound is refused; the others are served."""
    limits = replace(AGELESS, receiving_bytes=900, request_seconds=1e4)
    sent = [0, 0, 0, 0]
    head = b"POST /events HTTP/1.1\r\nHost: test\r\nContent-Length: 500\r\n\r\n"

    async def test(service: Service) -> None:
        clients = [service.connect() for _ in sent]
        refused: set[int] = set()
        for number, size in parts:
            size = min(size, 499 - sent[number])
            if number in refused or size <= 0:
                continue
            clients[number].send(b"a" * size if sent[number] else head + b"a" * size)
            sent[number] += size
            await asyncio.sleep(0.001)
            if statuses(clients[number]):
                assert statuses(clients[number]) == [503]
                refused.add(number)
            assert service.http.receiving_bytes <= 900
            served_on = [one for one in range(4) if one not in refused and sent[one]]
            held = sum(sent[one] for one in served_on)
            assert held <= service.http.receiving_bytes <= held + len(head) * len(served_on)
            if number in refused:
                assert held + sent[number] > 900 - len(head) * 4
        for number, client in enumerate(clients):
            if number not in refused and sent[number]:
                client.send(b"a" * (500 - sent[number]))
                await asyncio.sleep(0.001)
                assert statuses(client) in ([200], [503])
        assert service.http.receiving_bytes == 0

    serve(test, limits)
