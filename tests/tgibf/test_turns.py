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
from tgibf.turns import RETRY_SECONDS, Turns


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


@given(st.integers(2, 5), st.data())
def test_with_failover_silent_ones_get_one_post_a_second(number: int, data: st.DataObject) -> None:
    some = endpoints(number)
    silent = data.draw(st.sets(st.sampled_from(some), max_size=number - 1))
    now = 0.0
    turns = Turns(some, failover=True, now=lambda: now)
    for one in silent:
        turns.settle(one, failed=True)

    seconds = 10
    taken = Counter[Endpoint]()
    for step in range(seconds * 100):
        now = step / 100
        endpoint = turns.take()
        taken[endpoint] += 1
        if endpoint in silent:
            turns.settle(endpoint, failed=True)

    assert all(taken[one] <= seconds / RETRY_SECONDS for one in silent)
    others = [taken[one] for one in some if one not in silent]
    assert max(others) - min(others) <= sum(taken[one] for one in silent) + 1

    for one in silent:
        turns.settle(one, failed=False)
    assert {turns.take() for _ in some} == set(some)


@given(st.integers(2, 5))
def test_where_none_answers_all_take_turns(number: int) -> None:
    some = endpoints(number)
    turns = Turns(some, failover=True, now=lambda: 0.0)
    for one in some:
        turns.settle(one, failed=True)
    taken = Counter(turns.take() for _ in range(10 * number))
    assert max(taken.values()) - min(taken.values()) <= number
    assert sum(taken.values()) == 10 * number


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
