"""What is remembered of signed POSTs."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import VirtualClock
from webhook.http.connection import Connection
from webhook.http.exchange import PostExchange
from webhook.replay import Replays, key_of

SECONDS = 600.0
MOST = 20
STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 100.0, 599.0, 1300.0]), st.integers(0, 60)), max_size=120
)


@given(STEPS)
def test_what_was_stored_lately_is_known_and_the_rest_forgotten(
    steps: list[tuple[float, int]],
) -> None:
    clock = VirtualClock()
    replays = Replays(SECONDS, MOST, clock.monotonic)
    stored: dict[int, tuple[float, int]] = {}
    for number, (pause, name) in enumerate(steps):
        clock.advance(pause)
        known = replays.stored(key_of("shop", b"%d" % name))
        if name in stored:
            at, place = stored[name]
            since = sum(place < later for _, later in stored.values())
            if clock.monotonic() - at < SECONDS and since < MOST // 2:
                assert known == 3
        else:
            assert known == 0
        if not known:
            replays.begin(key_of("shop", b"%d" % name))
            assert replays.settle(key_of("shop", b"%d" % name), 3) == []
            stored[name] = (clock.monotonic(), number)
        assert len(replays) <= MOST


def test_another_sender_may_use_the_same_id() -> None:
    replays = Replays(SECONDS, MOST, VirtualClock().monotonic)
    replays.begin(key_of("shop", b"1"))
    replays.settle(key_of("shop", b"1"), 1)
    assert replays.stored(key_of("shop", b"1")) == 1
    assert replays.stored(key_of("bank", b"1")) == 0


def test_an_id_whose_write_has_not_ended_is_neither_known_nor_free() -> None:
    replays = Replays(SECONDS, MOST, VirtualClock().monotonic)
    for number, events in enumerate((3, 0)):
        key = key_of("shop", b"%d" % number)
        replays.begin(key)
        replays.settle(key, 0, known=False)
        assert replays.is_open(key)
        assert replays.stored(key) == 0
        replays.end(key, events)
        assert not replays.is_open(key)
        assert replays.stored(key) == events
    replays.end(key, 3)  # of a write that was told in time
    assert replays.stored(key) == 0


def test_who_comes_meanwhile_waits_and_what_was_not_stored_is_not_known() -> None:
    replays = Replays(SECONDS, MOST, VirtualClock().monotonic)
    key = key_of("shop", b"1")
    again = PostExchange(cast("Connection", None), "1.1", keep_alive=True)
    assert not replays.wait(key, again)
    replays.begin(key)
    assert replays.wait(key, again)
    assert replays.settle(key, 0) == [again]
    assert replays.stored(key) == 0
    assert not replays.wait(key, again)
