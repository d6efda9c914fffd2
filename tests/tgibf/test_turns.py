"""Several webhooks take turns; with --failover one that does not answer is left out."""

import asyncio
import signal
import socket
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.tgibf.generator import finish, start
from tests.tgibf.peer import Call, Peer, acknowledge
from tgibf.target import Endpoint, Target
from tgibf.turns import RETRY_SECONDS, SILENT_SECONDS, Turns


def endpoints(number: int) -> list[Endpoint]:
    target = Target("127.0.0.1", 80, "/events", tls=False)
    return [Endpoint(target, socket.AF_INET, ("127.0.0.1", 80), None) for _ in range(number)]


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=30), st.booleans())
def test_without_failover_each_takes_its_turn_whatever_happens(
    number: int, endings: list[bool], failover: bool
) -> None:
    some = endpoints(number)
    turns = Turns(some, failover=failover and number == 1)
    for at, failed in enumerate(endings):
        assert turns.take() is some[at % number]
        turns.settle(some[at % number], failed=failed)


class Clients:
    """Takes turns, a POST each hundredth of a second; each endpoint behaves as it is told."""

    def __init__(self, number: int) -> None:
        self.endpoints = endpoints(number)
        self.now = 0.0
        self.turns = Turns(self.endpoints, failover=True, now=lambda: self.now)
        self.taken = Counter[Endpoint]()

    def post(self, seconds: int, failing: set[Endpoint], hanging: set[Endpoint]) -> None:
        for _ in range(seconds * 100):
            self.now += 0.01
            endpoint = self.turns.take()
            self.taken[endpoint] += 1
            if endpoint not in hanging:
                self.turns.settle(endpoint, failed=endpoint in failing)


@given(st.integers(2, 5), st.data())
def test_with_failover_those_that_do_not_answer_get_one_post_a_second(
    number: int, data: st.DataObject
) -> None:
    clients = Clients(number)
    silent = data.draw(st.sets(st.sampled_from(clients.endpoints), max_size=number - 1))
    failing = {one for one in clients.endpoints if one in silent and data.draw(st.booleans())}
    hanging = silent - failing

    clients.post(3, failing, hanging)
    clients.taken.clear()
    clients.post(10, failing, hanging)

    for one in clients.endpoints:
        if one in silent:
            assert clients.taken[one] <= 10 / RETRY_SECONDS + 1
        else:
            assert clients.taken[one] > 10 * 100 / number * 0.9

    for one in hanging:
        clients.turns.settle(one, failed=False)
    clients.post(2, set(), set())
    assert {clients.turns.take() for _ in clients.endpoints} == set(clients.endpoints)


@given(st.integers(2, 5), st.booleans())
def test_where_none_answers_all_take_turns(number: int, hang: bool) -> None:
    clients = Clients(number)
    everyone = set(clients.endpoints)
    clients.post(10, set() if hang else everyone, everyone if hang else set())
    shares = clients.taken.values()
    assert len(shares) == number
    assert max(shares) - min(shares) <= number + 10


@given(st.integers(2, 5))
def test_one_that_is_asked_seldom_is_not_left_out_for_it(number: int) -> None:
    clients = Clients(number)
    for at in range(20):
        clients.now += 10 * SILENT_SECONDS
        endpoint = clients.turns.take()
        assert endpoint is clients.endpoints[at % number]
        clients.turns.settle(endpoint, failed=False)


def test_a_webhook_that_hangs_is_left_out_until_it_wakes() -> None:
    awake = asyncio.Event()

    async def hang(call: Call) -> None:
        await awake.wait()
        await acknowledge(call)

    with Peer() as well, Peer(hang) as hanging:
        steadily = ["--rate=200", "--timeout=0.5", "--failover", "--json"]
        process = start(well.url, hanging.url, *steadily)
        well.wait_for_calls(300)
        before = len(hanging.calls)
        hanging.call_soon(awake.set)
        hanging.wait_for_calls(before + 50)
        process.send_signal(signal.SIGINT)
        run = finish(process)

    assert before < 200, "half of the events would be 300"
    assert 0 < run.summary["unknown"] <= before
    assert run.summary["errors"] == {"timeout": run.summary["unknown"]}
