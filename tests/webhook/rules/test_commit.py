"""The rules of `webhook.commit`, by the numbers that they have there, under random schedules."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook.commit
from tests.support.virtual_time import VirtualClock, run
from tests.webhook.rules.examples import examples
from tests.webhook.rules.scripted_store import Act, End, ScriptedStore
from tests.webhook.rules.submissions import (
    ANSWER_SECONDS,
    HELD,
    HELD_BYTES,
    LATEST_SECONDS,
    LIMITS,
    SCHEDULES,
    WRITE_BYTES,
    WRITE_EVENTS,
    History,
    Post,
    Schedule,
    Step,
)
from webhook.commit import GATHERED, GATHERING_TURNS, CommitLimits, GroupCommit, Outcome
from webhook.events import Event

HANG = 30.0  # seconds


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The schedules are full of errors, and to log each with its stack takes long."""
    logger = logging.getLogger("webhook.commit")
    logger.disabled = True
    yield
    logger.disabled = False


def one(number: int, now: float, events: int = 1, size: int = 10, received_at: int = 0) -> Post:
    made = [Event(received_at, "a", None, f"{number}.{index}") for index in range(events)]
    return Post(made, size, now, number)


def fits(posts: Sequence[Post], span: int) -> bool:
    """Whether they may be one write."""
    spans = {post.events[0].received_at // (span * 1_000_000) if span else 0 for post in posts}
    return (
        sum(len(post.events) for post in posts) <= WRITE_EVENTS
        and sum(post.size for post in posts) <= WRITE_BYTES
        and len(spans) == 1
    )


@given(SCHEDULES)
@examples(60)
def test_1_a_submission_is_never_split_and_never_written_twice(schedule: Schedule) -> None:
    history = History(schedule)
    written = [post for flight in history.flights for post in history.posts_of(flight)]
    assert len(written) == len(set(written))
    for flight in history.flights:
        whole = [event for post in history.posts_of(flight) for event in post.events]
        assert list(flight.events) == whole


@given(SCHEDULES)
@examples(60)
def test_2_a_lane_has_at_most_one_write_in_flight(schedule: Schedule) -> None:
    history = History(schedule)
    for flight in history.flights:
        flying = [other for other in history.flights if other.began <= flight.began < other.ended]
        assert len(flying) <= schedule.lanes


@given(SCHEDULES)
@examples(80)
def test_2_a_write_takes_in_order_all_that_waits_up_to_a_bound(schedule: Schedule) -> None:
    history = History(schedule)
    written = [post for flight in history.flights for post in history.posts_of(flight)]
    assert [post.came for post in written] == sorted(post.came for post in written)
    for flight in history.flights:
        posts = history.posts_of(flight)
        assert len(posts) == 1 or fits(posts, schedule.group_seconds)
        for first in history.left_waiting(flight)[:1]:
            assert not fits([*posts, first], schedule.group_seconds)


@given(SCHEDULES)
@examples(60)
def test_2_nobody_waits_while_a_lane_is_idle(schedule: Schedule) -> None:
    history = History(schedule)
    moments = {post.submitted_at for post in history.taken}
    moments |= {
        moment for flight in history.flights for moment in (flight.began_at, flight.ended_at)
    }
    for begin, end in pairwise(sorted(one for one in moments if one <= history.stopped_at)):
        if any(post.submitted_at <= begin and end <= post.left_at for post in history.taken):
            flying = [
                one for one in history.flights if one.began_at <= begin and end <= one.ended_at
            ]
            assert len(flying) == schedule.lanes


@pytest.mark.parametrize(
    ("arrivals", "first"),
    [
        ([1], 1),  # alone
        ([1, 0, 1], 1),  # the turn in between brings nothing
        ([1] * (GATHERING_TURNS + 5), GATHERING_TURNS + 1),
        ([GATHERED - 1, 1, 1], GATHERED),
        ([GATHERED, 1], GATHERED),
    ],
)
def test_2_a_lane_lets_in_what_the_next_turns_bring(arrivals: Sequence[int], first: int) -> None:
    """`arrivals` are the submissions of each turn of the loop."""
    limits = CommitLimits(1000, 10_000_000, 1000, 10_000_000, ANSWER_SECONDS)

    async def test() -> None:
        places, now = count(), clock.monotonic
        store = ScriptedStore(1, 0, [], lambda: next(places), now, lambda _flight: None)
        commit: GroupCommit[Post] = GroupCommit(store, limits, lambda _posts, _: None)
        commit.start()
        await asyncio.sleep(1)  # the lane waits
        numbers = count()
        for arriving in arrivals:
            for _ in range(arriving):
                commit.submit(one(next(numbers), now()))
            await asyncio.sleep(0)
        await asyncio.sleep(1)
        assert len(store.flights[0].events) == first
        await commit.stop()

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


def test_2_a_span_of_time_ends_before_the_first_microsecond_of_the_next() -> None:
    seconds = [0.0, 60.0, 119.999_999, 120.0, 179.999_999, 180.0]

    async def test() -> None:
        places, now = count(), clock.monotonic
        store = ScriptedStore(1, 60, [], lambda: next(places), now, lambda _flight: None)
        commit: GroupCommit[Post] = GroupCommit(store, LIMITS, lambda _posts, _: None)
        commit.start()
        for number, second in enumerate(seconds):
            commit.submit(one(number, now(), received_at=int(second * 1_000_000)))
        await asyncio.sleep(1)
        assert [len(flight.events) for flight in store.flights] == [1, 2, 2, 1]
        await commit.stop()

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


def test_the_most_that_was_held_is_told_after_it_was_written() -> None:
    async def test() -> None:
        places, now = count(), clock.monotonic
        script = [Act(End.STORED, 0.3), Act(End.REFUSED, 0.3)]
        store = ScriptedStore(1, 0, script, lambda: next(places), now, lambda _flight: None)
        commit: GroupCommit[Post] = GroupCommit(store, LIMITS, lambda _posts, _: None)
        commit.start()
        await asyncio.sleep(0.1)  # the lane waits
        for number in range(4):
            commit.submit(one(number, now()))
        assert commit.most_held_events(now()) == 4
        await asyncio.sleep(1)
        assert commit.held_events == 0
        assert commit.most_held_events(now()) == 4
        await asyncio.sleep(16)
        assert commit.most_held_events(now()) == 0
        await commit.stop()

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


@given(SCHEDULES)
@examples(80)
def test_3_all_that_was_taken_is_settled_once_and_as_it_is(schedule: Schedule) -> None:
    history = History(schedule)
    for post in history.posts:
        assert len(post.outcomes) == post.taken
    for post in history.taken:
        (outcome,) = post.outcomes
        end = post.flight.end if post.flight is not None else None
        told = post.flight is not None and post.flight.ended < post.settled
        if outcome is Outcome.STORED:
            assert told
            assert end is End.STORED
        elif outcome is Outcome.REFUSED:
            assert post.flight is None or (told and end is End.REFUSED)
        else:
            assert post.flight is not None
            assert not told or end in {End.UNKNOWN, End.BROKEN, End.CANCELLED}


@given(SCHEDULES)
@examples(50)
def test_3_an_answer_does_not_wait_once_the_store_has_spoken(schedule: Schedule) -> None:
    for post in History(schedule).taken:
        if post.flight is not None:
            assert post.settled_at <= post.flight.ended_at


@given(SCHEDULES)
@examples(50)
def test_3_the_figures_are_what_happened(schedule: Schedule) -> None:
    history = History(schedule)
    outcomes = Counter(dict.fromkeys(Outcome, 0))
    for post in history.taken:
        outcomes[post.outcomes[0]] += len(post.events)
    figures = history.commit.figures
    assert figures.outcomes == outcomes
    assert figures.queue_full == sum(len(one.events) for one in history.posts if not one.taken)
    ended = [flight for flight in history.flights if flight.end is not End.CANCELLED]
    assert figures.writes == len(ended)
    assert history.wrote == [
        (len(flight.events), flight.ended_at - flight.began_at)
        for flight in sorted(ended, key=lambda flight: flight.ended)
    ]


@given(SCHEDULES)
@examples(80)
def test_4_what_is_held_is_bounded_in_events_and_in_bytes(schedule: Schedule) -> None:
    history = History(schedule)
    for room, taken in history.said:
        assert taken == room
    for events, really, size, really_bytes in history.held:
        assert (events, size) == (really, really_bytes)
        assert events <= HELD
        assert size <= HELD_BYTES


@pytest.mark.parametrize(
    ("events", "size", "taken"), [(39, 2490, True), (40, 10, False), (1, 2491, False)]
)
def test_4_up_to_its_bounds_all_is_taken_and_past_either_nothing(
    events: int, size: int, taken: bool
) -> None:
    """One event of 10 bytes is in flight, and stays there."""

    async def test() -> None:
        places, now = count(), clock.monotonic
        script = [Act(End.STORED, HANG)]
        store = ScriptedStore(1, 0, script, lambda: next(places), now, lambda _flight: None)
        commit: GroupCommit[Post] = GroupCommit(store, LIMITS, lambda _posts, _: None)
        commit.start()
        assert commit.submit(one(1, now(), size=10))
        await asyncio.sleep(0.01)
        assert commit.submit(one(2, now(), events, size)) == taken
        assert commit.submit(one(3, now())) != taken
        await commit.stop()

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


@given(SCHEDULES)
@examples(80)
def test_5_nobody_waits_forever_and_nobody_is_given_up_early(schedule: Schedule) -> None:
    history = History(schedule)
    for post in history.taken:
        assert post.settled_at <= post.submitted_at + LATEST_SECONDS
        early = post.settled_at < min(post.submitted_at + ANSWER_SECONDS, history.stopped_at)
        if post.flight is None:
            assert not early
        elif post.settled < post.flight.ended:  # the store had not spoken yet
            oldest = history.posts_of(post.flight)[0]
            deadline = min(oldest.submitted_at + ANSWER_SECONDS, history.stopped_at)
            assert post.settled_at >= deadline


@given(SCHEDULES)
@examples(50)
def test_5_a_write_that_hangs_is_said_to(schedule: Schedule) -> None:
    for said, hangs in History(schedule).hung:
        assert said == hangs


def test_5_what_is_in_flight_for_too_long_goes_on_and_keeps_its_lane_and_its_room() -> None:
    """The first write takes five times as long as anybody waits."""

    async def test() -> None:
        places, now = count(), clock.monotonic
        script = [Act(End.STORED, 5 * ANSWER_SECONDS)]
        store = ScriptedStore(1, 0, script, lambda: next(places), now, lambda _flight: None)
        settled: list[tuple[float, int, Outcome]] = []
        commit: GroupCommit[Post] = GroupCommit(
            store,
            LIMITS,
            lambda posts, how: settled.extend((now(), one.came, how) for one in posts),
        )
        commit.start()
        began = now()
        assert commit.submit(one(1, began, 5, 50))
        await asyncio.sleep(0.001)  # its write begins
        assert commit.submit(one(2, began, 3, 30))
        await asyncio.sleep(LATEST_SECONDS)
        assert [(number, how) for _, number, how in settled] == [
            (2, Outcome.REFUSED),
            (1, Outcome.UNKNOWN),
        ]
        assert (commit.held_events, commit.held_bytes) == (5, 50)
        assert commit.submit(one(3, now()))
        await asyncio.sleep(LATEST_SECONDS)
        assert len(store.flights) == 1
        assert settled[2][1:] == (3, Outcome.REFUSED)
        await asyncio.sleep(began + 4.9 * ANSWER_SECONDS - now())
        assert commit.submit(one(4, now()))
        await asyncio.sleep(0.2 * ANSWER_SECONDS)
        assert [len(flight.events) for flight in store.flights] == [5, 1]
        assert [flight.end for flight in store.flights] == [End.STORED, End.STORED]
        assert [number for _, number, _ in settled] == [2, 1, 3, 4]
        assert (commit.held_events, commit.held_bytes) == (0, 0)
        assert commit.figures.outcomes == {
            Outcome.STORED: 1,
            Outcome.REFUSED: 4,
            Outcome.UNKNOWN: 5,
        }
        await commit.stop()

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


def test_5_who_waits_for_the_longest_says_when_a_write_takes_too_long() -> None:
    schedule = Schedule(
        1,
        0,
        [Step(0.5, 1, 10), Step(0.1, 1, 10), Step(1.0, 1, 10)],
        [Act(End.STORED, 2.0), Act(End.STORED, HANG)],
        None,
    )
    first, second, third = History(schedule).posts
    assert first.outcomes == [Outcome.STORED]
    assert second.flight is third.flight is not None
    assert second.outcomes == third.outcomes == [Outcome.UNKNOWN]
    assert second.settled_at == third.settled_at <= second.submitted_at + LATEST_SECONDS


@given(st.integers(1, 3), st.integers(0, 6), st.integers(0, 4), st.booleans())
@examples(50)
def test_what_comes_while_the_lanes_are_being_closed_is_refused_or_settled(
    lanes: int, before: int, after: int, hangs: bool
) -> None:
    """A stop takes a few turns of the loop, and requests come in during these too."""

    async def test() -> None:
        places, now = count(), clock.monotonic
        script = [Act(End.STORED, HANG if hangs else 0.0)] * lanes
        store = ScriptedStore(lanes, 0, script, lambda: next(places), now, lambda _flight: None)
        settled: list[int] = []
        commit: GroupCommit[Post] = GroupCommit(
            store, LIMITS, lambda posts, _: settled.extend(one.came for one in posts)
        )
        commit.start()
        await asyncio.sleep(0.01)
        taken = [number for number in range(before) if commit.submit(one(number, now()))]
        stopping = asyncio.create_task(commit.stop())
        for number in range(before, before + after):
            await asyncio.sleep(0)
            if commit.submit(one(number, now())):
                taken.append(number)
        await stopping
        if commit.submit(one(-1, now())):
            taken.append(-1)
        await asyncio.sleep(HANG)
        assert sorted(settled) == sorted(taken)

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


def test_a_lane_that_ends_by_a_fault_is_noticed() -> None:
    async def test() -> None:
        places = count()
        store = ScriptedStore(1, 0, [], lambda: next(places), clock.monotonic, lambda _flight: None)
        commit: GroupCommit[Post] = GroupCommit(store, LIMITS, lambda _posts, _: None, _fails)
        commit.start()
        broken = asyncio.create_task(commit.broken())
        await asyncio.sleep(HANG)
        assert not broken.done()
        commit.submit(one(1, clock.monotonic()))
        await asyncio.sleep(1)
        with pytest.raises(ZeroDivisionError):
            broken.result()
        await commit.stop()

    clock = VirtualClock()
    run(test(), clock, [webhook.commit])


def _fails(events: int, _seconds: float) -> None:
    raise ZeroDivisionError(events)


def test_an_event_that_finds_the_store_idle_is_written_at_once() -> None:
    history = History(
        Schedule(1, 0, [Step(0.5, 1, 10), Step(0.5, 1, 10)], [Act(End.STORED, 0.25)] * 2, None)
    )
    assert [flight.began_at for flight in history.flights] == [
        post.submitted_at for post in history.posts
    ]
    assert [post.settled_at - post.submitted_at for post in history.posts] == pytest.approx(
        [0.25, 0.25]
    )
