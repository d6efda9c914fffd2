"""From the body of a POST to its one answer, under random schedules."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook.commit
import webhook.intake
from tests.support.virtual_time import VirtualClock, run
from tests.webhook.rules.examples import examples
from tests.webhook.rules.scripted_store import Act, End, Flight, ScriptedStore
from webhook.admission import Admission
from webhook.clock import ReceiptClock
from webhook.commit import CommitLimits
from webhook.http.connection import Connection
from webhook.http.exchange import PostExchange
from webhook.intake import Intake
from webhook.problem import Problem

ARRAY_EVENTS = 5
HELD_EVENTS = 12
LIMITS = CommitLimits(HELD_EVENTS, 10_000, 8, 10_000, answer_seconds=2.0)
EVENT = b'{"type": "a"}'

Answer = Problem | None  # None for 200


@dataclass(frozen=True)
class Body:
    """What is sent, and what is right for it: so many events, or a status."""

    sent: bytes
    events: int = 0
    status: int = 0


def array(events: int) -> Body:
    sent = b"[" + b", ".join([EVENT] * events) + b"]"
    return Body(sent, events) if events <= ARRAY_EVENTS else Body(sent, status=413)


INVALID = [Body(b"{", status=400), Body(b"", status=400), Body(b"{}", status=422)]
BODIES = (
    st.just(Body(EVENT, 1))
    | st.integers(1, ARRAY_EVENTS + 2).map(array)
    | st.sampled_from([*INVALID, Body(b"[]", status=422)])
)
ACTS = st.builds(
    Act, st.sampled_from([End.STORED, End.REFUSED, End.UNKNOWN]), st.sampled_from([0.0, 0.3, 1, 9])
)


@dataclass(frozen=True)
class Traffic:
    """Bodies with a pause before each, how the writes end, and the rate that is admitted."""

    bodies: Sequence[tuple[float, Body]]
    script: Sequence[Act]
    rate: int


TRAFFIC = st.builds(
    Traffic,
    st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.1, 0.7]), BODIES), min_size=1, max_size=25),
    st.lists(ACTS, max_size=8),
    st.sampled_from([0, 0, 4, 10]),
)


@dataclass(eq=False)
class Sent:
    """A POST, and what came back."""

    body: Body
    exchange: PostExchange
    admitted: bool
    """Whether the rate allowed it, if it was valid."""
    received_at: int
    submitted_at: float
    flight: Flight | None = None
    raised: Problem | None = None
    answers: list[Answer] = field(default_factory=list)


class Desk:
    """An intake with `traffic`, and what came of it."""

    def __init__(self, traffic: Traffic) -> None:
        self.sent: list[Sent] = []
        self._clock = VirtualClock()
        places = itertools.count()
        self.store = ScriptedStore(
            1, 0, traffic.script, lambda: next(places), self._clock.monotonic, lambda _flight: None
        )
        self.intake = Intake(
            self.store,
            ReceiptClock(self._clock.time_ns),
            Admission(traffic.rate),
            LIMITS,
            ARRAY_EVENTS,
            self._answer,
            lambda _events, _seconds: None,
        )
        run(self._play(traffic), self._clock, [webhook.commit, webhook.intake])
        flights = {id(event): one for one in self.store.flights for event in one.events}
        for sent in self.sent:
            if sent.body.events:
                sent.flight = flights.get(id(sent.exchange.events[0]))

    async def _play(self, traffic: Traffic) -> None:
        admission = Admission(traffic.rate)
        self.intake.commit.start()
        for pause, body in traffic.bodies:
            await asyncio.sleep(pause)
            now = self._clock.monotonic()
            admitted = bool(body.events) and admission.admit(body.events, now)
            exchange = PostExchange(cast("Connection", None), "1.1", keep_alive=True)
            sent = Sent(body, exchange, admitted, self._clock.time_ns() // 1000, now)
            self.sent.append(sent)
            try:
                self.intake.take(exchange, body.sent)
            except Problem as problem:
                sent.raised = problem
        await asyncio.sleep(3)
        await self.intake.commit.stop()

    def _answer(self, exchanges: Sequence[PostExchange], problem: Answer) -> None:
        for exchange in exchanges:
            (sent,) = (one for one in self.sent if one.exchange is exchange)
            sent.answers.append(problem)


@given(TRAFFIC)
@examples(60)
def test_each_post_gets_one_answer_at_once_or_later(traffic: Traffic) -> None:
    for sent in Desk(traffic).sent:
        assert len(sent.answers) + (sent.raised is not None) == 1


@given(TRAFFIC)
@examples(80)
def test_an_answer_says_what_is_known(traffic: Traffic) -> None:
    """200 for what is stored, no for what will never be, unknown where nobody can tell."""
    for sent in Desk(traffic).sent:
        (problem,) = sent.answers or [sent.raised]
        if problem is None:
            assert sent.flight is not None
            assert sent.flight.end is End.STORED
            continue
        assert problem.status == (sent.body.status or 503)
        assert problem.headers == ({"Retry-After": "1"} if problem.status == 503 else {})
        may_be_stored = sent.flight is not None and sent.flight.end is not End.REFUSED
        assert problem.stored == ("unknown" if may_be_stored else "no")


@given(TRAFFIC)
@examples(60)
def test_what_is_not_valid_or_over_the_limit_is_refused_before_it_is_held(traffic: Traffic) -> None:
    """And what is not valid takes nothing of what others may send."""
    desk = Desk(traffic)
    for sent in desk.sent:
        if not sent.admitted:
            assert sent.raised is not None
            assert sent.flight is None
            assert sent.body.status or "events/s came in" in sent.raised.detail
        elif sent.raised is not None:
            assert sent.flight is None
            assert "too many events are waiting" in sent.raised.detail
    figures = desk.intake.figures
    assert figures.posts == len(desk.sent)
    assert figures.invalid == Counter(one.body.status for one in desk.sent if one.body.status)
    over = [one for one in desk.sent if one.body.events and not one.admitted]
    assert figures.over_limit == sum(one.body.events for one in over)


@given(TRAFFIC)
@examples(50)
def test_what_is_offered_is_every_valid_event_whatever_becomes_of_it(traffic: Traffic) -> None:
    """All at once, so that they are within a second."""
    at_once = Traffic([(0.0, body) for _, body in traffic.bodies], traffic.script, traffic.rate)
    desk = Desk(at_once)
    now = desk.sent[-1].submitted_at
    assert desk.intake.offered.highest(now) == sum(sent.body.events for sent in desk.sent)
    figures = desk.intake.commit.figures
    settled = sum(figures.outcomes.values()) + figures.queue_full
    assert desk.intake.offered.highest(now) == settled + desk.intake.figures.over_limit


@given(TRAFFIC)
@examples(50)
def test_events_carry_the_moment_of_their_receipt_and_their_post_its_size(traffic: Traffic) -> None:
    for sent in Desk(traffic).sent:
        if sent.body.events:
            assert len(sent.exchange.events) == sent.body.events
            assert {one.received_at for one in sent.exchange.events} == {sent.received_at}
        if not sent.raised:
            assert sent.exchange.size == len(sent.body.sent)
            assert sent.exchange.submitted_at == sent.submitted_at


def test_the_limit_is_one_of_events_and_what_is_not_valid_takes_none() -> None:
    """Two events a second; an array of three owes one, which takes half a second."""
    one, three = Body(EVENT, 1), array(3)
    bodies = [(0.0, bad) for bad in INVALID] + [(0.0, three), (0.4, three), (0.2, one), (0.0, one)]
    desk = Desk(Traffic(bodies, [], rate=2))
    assert [sent.raised is None for sent in desk.sent[3:]] == [True, False, True, False]
    assert desk.intake.figures.over_limit == 4


@pytest.mark.parametrize(("held", "taken"), [(HELD_EVENTS, True), (HELD_EVENTS + 1, False)])
def test_more_than_may_be_held_is_refused_at_once(held: int, taken: bool) -> None:
    """A write hangs, and single events pile up behind it."""
    desk = Desk(Traffic([(0.0, Body(EVENT, 1))] * held, [Act(End.STORED, 9)], rate=0))
    assert (desk.sent[-1].raised is None) == taken
    assert len(desk.sent[-1].answers) == taken
    assert all(sent.raised is None for sent in desk.sent[:-1])
