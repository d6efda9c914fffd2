"""Which instances get connections, who answers, and what a probe makes of an answer."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.routing.beats import BEAT_SECONDS, MISSED, Beats, Echo, Peer
from cluster.routing.catalog import PATIENCE_SECONDS, Memory
from cluster.routing.probes import LATEST_SECONDS, PROBE_SECONDS, SHARE, pause, probe
from cluster.routing.service import metrics_of
from cluster.routing.targets import Instance, Probe, choose

NODES = ["node-1", "node-2", "node-3"]
instances = st.builds(
    Instance,
    st.sampled_from(NODES),
    st.integers(1, 9).map("192.168.56.11:{}".format),
    st.booleans(),
)
fleets = st.lists(instances, max_size=9, unique_by=lambda one: one.address)
silences = st.sets(st.sampled_from(NODES))
answers = st.dictionaries(
    st.integers(1, 9).map("192.168.56.11:{}".format), st.sampled_from(list(Probe))
)


@given(st.lists(st.tuples(st.integers(1, 100), st.booleans()), max_size=30))
def test_an_answer_of_a_server_that_has_not_caught_up_is_not_believed(
    told: list[tuple[int, bool]],
) -> None:
    """As long as answers come that are not behind."""
    memory = Memory(lambda: 0.0)
    newest = 0
    for index, leader in told:
        expected = leader if newest == 0 else index >= newest
        assert memory.believes(index, leader=leader) is expected
        if expected:
            newest = index


def test_a_cluster_that_began_anew_is_believed_after_a_while() -> None:
    now = 0.0
    memory = Memory(lambda: now)
    assert memory.believes(1000, leader=True)
    now = PATIENCE_SECONDS - 1
    assert not memory.believes(5, leader=True)
    now = PATIENCE_SECONDS + 1
    assert memory.believes(5, leader=True)
    assert memory.believes(6, leader=True)


def test_without_any_leader_the_first_answer_is_believed_after_a_while() -> None:
    """Two of three servers are gone for good: the third one's word is all that there is."""
    now = 0.0
    memory = Memory(lambda: now)
    assert not memory.believes(1000, leader=False)
    now = PATIENCE_SECONDS
    assert memory.believes(1000, leader=False)


@given(fleets, silences, answers)
def test_there_is_always_somebody_if_anybody_is_registered(
    fleet: list[Instance], silent: set[str], probes: dict[str, Probe]
) -> None:
    chosen = choose(fleet, silent, probes)
    assert set(chosen) <= set(fleet)
    assert bool(chosen) == bool(fleet)


@given(fleets, silences, answers)
def test_where_one_can_be_used_none_that_can_not_be_is(
    fleet: list[Instance], silent: set[str], probes: dict[str, Probe]
) -> None:
    chosen = choose(fleet, silent, probes)
    ready = [
        one for one in fleet if one.node not in silent and probes.get(one.address) is Probe.READY
    ]
    assert set(ready) <= set(chosen)
    if ready:
        for one in chosen:
            assert one.node not in silent
            assert probes.get(one.address) not in {Probe.ABSENT, Probe.NOT_READY}
            assert one.passing or probes.get(one.address) is Probe.READY


@given(fleets, silences, answers)
def test_the_order_in_which_consul_lists_them_does_not_matter(
    fleet: list[Instance], silent: set[str], probes: dict[str, Probe]
) -> None:
    assert choose(fleet, silent, probes) == choose(fleet[::-1], silent, probes)


def test_a_check_that_is_late_takes_nobody_out() -> None:
    """After a restart of a node's agent all its checks begin as failed."""
    one = Instance("node-1", "192.168.56.11:1", passing=False)
    other = Instance("node-2", "192.168.56.12:1", passing=True)
    assert choose([one, other], set(), {one.address: Probe.READY}) == [one, other]
    assert choose([one, other], set(), {}) == [other]


def test_a_busy_one_keeps_its_connections() -> None:
    one = Instance("node-1", "192.168.56.11:1", passing=True)
    other = Instance("node-2", "192.168.56.12:1", passing=True)
    assert choose([one, other], set(), {one.address: Probe.LATE}) == [one, other]


def test_what_was_on_a_silent_node_must_speak_for_itself_when_the_node_is_back() -> None:
    one = Instance("node-1", "192.168.56.11:1", passing=True)
    other = Instance("node-2", "192.168.56.12:1", passing=True)
    late, ready = {one.address: Probe.LATE}, {one.address: Probe.READY}
    assert choose([one, other], set(), late, {one.address}) == [other]
    assert choose([one, other], set(), ready, {one.address}) == [one, other]


async def answer_with(raw: bytes | None, ask: Callable[[str], Awaitable[Probe]]) -> Probe:
    """What `ask` makes of a listener that answers so; None: it says nothing."""

    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if raw is None:
            await reader.read()  # until it gives up
        else:
            writer.write(raw)
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        made_of_it = await ask(f"127.0.0.1:{port}")
        await ended.wait()
        return made_of_it


@pytest.mark.parametrize(
    ("raw", "made_of_it"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", Probe.READY),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Probe.NOT_READY),
        (b"", Probe.LATE),
        (b"SSH-2.0-OpenSSH\r\n", Probe.LATE),
        (None, Probe.LATE),
    ],
)
def test_what_a_probe_makes_of_an_answer(raw: bytes | None, made_of_it: Probe) -> None:
    assert asyncio.run(answer_with(raw, probe)) is made_of_it


def test_where_nothing_listens_it_is_absent() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert asyncio.run(probe(f"127.0.0.1:{port}")) is Probe.ABSENT


@given(st.floats(0, 2), st.floats(0, 2))
def test_probes_take_a_share_of_a_core_at_most(took: float, cpu: float) -> None:
    apart = took + pause(took, cpu)
    assert apart >= min(cpu / SHARE, LATEST_SECONDS) - 1e-9
    assert apart <= max(took, LATEST_SECONDS) + 1e-9


@pytest.mark.parametrize(
    ("took", "cpu", "apart"),
    [(0.01, 0.004, PROBE_SECONDS), (0.7, 0.004, 0.7), (0.1, 0.05, 2.5), (1.0, 0.9, LATEST_SECONDS)],
)
def test_how_far_rounds_of_probes_are_apart(took: float, cpu: float, apart: float) -> None:
    assert took + pause(took, cpu) == pytest.approx(apart)


async def missed_after(listening: bool, beats: int) -> int:
    """How many beats a node missed that echoes, or where nothing listens."""
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    port = echo.get_extra_info("sockname")[1]
    if not listening:
        echo.close()
        await asyncio.sleep(0)
    ours = Beats(port)
    await ours.know({"node-2": "127.0.0.1"})
    sending = asyncio.create_task(ours.go_on())
    await asyncio.sleep(beats * BEAT_SECONDS)
    sending.cancel()
    ours.close()
    echo.close()
    await asyncio.sleep(0.01)  # they close their sockets by the loop
    return ours.peers["node-2"].missed


@pytest.mark.parametrize("listening", [True, False])
def test_a_node_that_is_there_answers_whether_it_listens_or_not(listening: bool) -> None:
    assert asyncio.run(missed_after(listening, 4)) <= 1


def test_beats_without_an_answer_make_silence_and_one_answer_ends_it() -> None:
    peer = Peer()
    for _ in range(MISSED):
        peer.beat()
        assert not peer.silent
    peer.beat()
    assert peer.silent
    peer.datagram_received(b"beat", ("192.168.56.12", 9997))
    assert not peer.silent


def test_a_network_that_says_so_is_no_answer() -> None:
    peer = Peer()
    peer.missed = MISSED + 1
    peer.error_received(OSError(113, "No route to host"))
    assert peer.silent
    peer.error_received(ConnectionRefusedError())
    assert not peer.silent


def test_the_view_as_metrics() -> None:
    view = {
        "nodes": {"node-2": True, "node-3": False},
        "instances": [
            {"node": "node-2", "address": "192.168.56.12:1", "used": True},
            {"node": "node-3", "address": "192.168.56.13:1", "used": False},
        ],
    }
    lines = metrics_of(view).splitlines()
    assert 'door_node_answers{node="node-2"} 1' in lines
    assert 'door_node_answers{node="node-3"} 0' in lines
    assert 'door_target_used{node="node-3",address="192.168.56.13:1"} 0' in lines
