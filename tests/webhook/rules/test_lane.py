"""The rules of `webhook.store.cassandra.lane`, by the numbers that they have there."""

import asyncio
from collections import Counter, defaultdict
from itertools import groupby, pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook.store.cassandra.lane
from tests.support.virtual_time import BEGIN, VirtualClock
from tests.webhook.rules.examples import examples
from tests.webhook.rules.lanes import (
    REPEAT_SECONDS,
    RETENTION,
    SCHEDULES,
    STEPS,
    WRITE_SECONDS,
    Schedule,
    Step,
    Writer,
    played,
    run_with,
)
from tests.webhook.rules.model_ring import Attempt, Fate, ModelRing, Partition, Turn, integer
from webhook.commit import Outcome
from webhook.store.cassandra.lane import (
    FIRST_PAUSE_SECONDS,
    INSERT_COUNTS,
    INSERT_EVENTS,
    INSERT_LANE,
    JOINED_SECONDS,
    LANES_OUTLIVE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PROBE_TTL_SECONDS,
    Lane,
)
from webhook.store.cassandra.window import WindowReader
from webhook.store.contract import OutcomeUnknown, StoreUnavailable

LONGEST_TURN = 4.0  # seconds, of those in SCHEDULES


def event_writes(ring: ModelRing) -> list[Attempt]:
    return [one for one in ring.attempts if one.statement == INSERT_EVENTS]


def mutations(attempts: list[Attempt]) -> list[list[Attempt]]:
    """The attempts that follow each other and have the same values."""
    return [list(same) for _, same in groupby(attempts, lambda one: one.values)]


def by_lane_object(attempts: list[Attempt]) -> list[list[Attempt]]:
    found: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.writer].append(attempt)
    return list(found.values())


# 1


@given(SCHEDULES)
@examples(50)
def test_1_one_write_is_in_flight_and_the_next_follows_its_success(schedule: Schedule) -> None:
    """Or its certain failure, which left everything as it was."""
    for attempts in by_lane_object(event_writes(played(schedule).ring)):
        assert all(one.ended < other.number for one, other in pairwise(attempts))
        for same, _ in pairwise(mutations(attempts)):
            assert same[-1].fate is Fate.STORED or [one.fate for one in same] == [Fate.REFUSED]


@given(SCHEDULES)
@examples(50)
def test_1_counts_are_absolute_and_at_every_moment_those_of_the_rows(schedule: Schedule) -> None:
    ring = played(schedule).ring
    assert ring.agreed
    for attempt in event_writes(ring):
        assert integer(attempt.values[4]) == sum(attempt.counts.values())


@given(SCHEDULES)
@examples(50)
def test_1_what_was_acknowledged_is_stored_and_what_was_refused_is_not(schedule: Schedule) -> None:
    """Each event once, and those of an unknown outcome all or none."""
    writer = played(schedule)
    stored = Counter(writer.ring.bodies())
    assert set(stored.values()) <= {1}
    for write in writer.writes:
        found = {body in stored for body in write.bodies}
        if write.outcome is Outcome.STORED:
            assert found == {True}
        elif write.outcome is Outcome.REFUSED:
            assert found == {False}
        else:
            assert len(found) == 1


# 2


@given(SCHEDULES)
@examples(50)
def test_2_no_two_writers_share_a_partition_and_none_comes_back_to_one(schedule: Schedule) -> None:
    ring = played(schedule).ring
    uses: dict[bytes, set[tuple[int, int]]] = defaultdict(set)
    for attempt in ring.attempts:
        minute, lane = attempt.partition
        if attempt.fate is not Fate.REFUSED:
            uses[lane.bytes].add((minute, attempt.writer))
    assert all(len(one) == 1 for one in uses.values())
    for attempts in by_lane_object(event_writes(ring)):
        runs = [partition for partition, _ in groupby(attempts, lambda one: one.partition)]
        assert len(runs) == len(set(runs))


# 3


@given(SCHEDULES)
@examples(50)
def test_3_a_repeat_is_the_same_mutation_and_timestamps_rise(schedule: Schedule) -> None:
    """Whatever happens to the machine's clock."""
    ring = played(schedule).ring
    for attempts in by_lane_object(ring.attempts):
        sent: dict[int, Attempt] = {}
        for attempt in attempts:
            same = sent.setdefault(attempt.timestamp, attempt)
            assert (same.statement, same.values) == (attempt.statement, attempt.values)
            if same is attempt:
                assert attempt.timestamp == max(sent)
    rows: dict[tuple[Partition, int], Attempt] = {}
    for attempt in event_writes(ring):
        before = rows.setdefault((attempt.partition, attempt.seq), attempt)
        assert before.values == attempt.values or before.fate is Fate.REFUSED
        rows[attempt.partition, attempt.seq] = attempt


def test_3_a_late_repeat_covers_no_newer_counts() -> None:
    """The machine's clock is set back before the newer ones."""
    script = [Turn(Fate.STORED), Turn(Fate.LATE, 0.01, 30.0)]
    steps = [Step(0, 0, 2), Step(1, 0, 3, clock=-90.0), Step(1, 0, 1)]
    writer = played(Schedule(1.0, steps, script))
    assert [write.outcome for write in writer.writes] == [Outcome.STORED] * 3
    ((partition, (sealed, counts)),) = writer.ring.listed().items()
    assert sealed
    assert sum(counts.values()) == 6
    assert writer.ring.in_static_cells(partition) == counts


# 4


@given(SCHEDULES)
@examples(60)
def test_4_a_lane_is_listed_before_it_writes_and_soon_enough(schedule: Schedule) -> None:
    ring = played(schedule).ring
    listed = {
        one.partition: one.ended
        for one in ring.attempts
        if one.statement == INSERT_LANE and not one.seals and one.fate is Fate.STORED
    }
    for same in mutations(event_writes(ring)):
        assert listed[same[0].partition] < same[0].number
        if same[0].seq == 0:
            end = 60 * (same[0].partition[0] + 1)
            assert same[0].began <= end + JOINED_SECONDS


@given(SCHEDULES)
@examples(60)
def test_4_it_is_sealed_with_its_final_counts_after_its_last_write(schedule: Schedule) -> None:
    ring = played(schedule).ring
    for seal in (one for one in ring.attempts if one.seals):
        writes = [one for one in event_writes(ring) if one.partition == seal.partition]
        assert all(one.ended < seal.number for one in writes)
        assert seal.counts == ring.in_rows(seal.partition)


@pytest.mark.parametrize("second", [10.0, 59.0])
def test_4_each_minute_is_sealed_as_the_next_one_is_entered(second: float) -> None:
    writer = played(Schedule(second, [Step(30, 0, 2), Step(0, 0, 1)] * 5, []))
    listed = writer.ring.listed()
    assert all(sealed for sealed, _ in listed.values())
    assert len(listed) == len({minute for minute, _ in listed})
    assert writer.ring.stored() == {
        60 * minute + second: count
        for (minute, _), (_, counts) in listed.items()
        for second, count in counts.items()
    }


@pytest.mark.parametrize(("late", "outcome"), [(-0.5, Outcome.STORED), (0.5, Outcome.REFUSED)])
def test_4_nobody_joins_a_minute_too_late(late: float, outcome: Outcome) -> None:
    """Events of the last second of a minute come to be written a minute later."""
    clock = VirtualClock(BEGIN + JOINED_SECONDS + late)
    writer = Writer(ModelRing(clock))
    run_with(writer.play([Step(0, JOINED_SECONDS + late + 1, 1)]), clock)
    assert [write.outcome for write in writer.writes] == [outcome]


def test_4_joining_takes_its_time_too() -> None:
    """The listing is acknowledged when it is too late."""
    clock = VirtualClock(BEGIN + JOINED_SECONDS - 1)
    writer = Writer(ModelRing(clock, [Turn(Fate.STORED, 2.0)]))
    run_with(writer.play([Step(0, JOINED_SECONDS, 1), Step(0, 0, 1)]), clock)
    assert [one.outcome for one in writer.writes] == [Outcome.REFUSED, Outcome.STORED]


@pytest.mark.parametrize("bound", ["PARTITION_EVENTS", "PARTITION_BYTES"])
@given(schedule=SCHEDULES)
@examples(30)
def test_past_a_bound_the_lane_goes_on_under_a_new_id(bound: str, schedule: Schedule) -> None:
    with patch.object(webhook.store.cassandra.lane, bound, 4 if bound.endswith("S") else 100):
        ring = played(schedule).ring
    for attempt in event_writes(ring):
        before = [
            one
            for one in event_writes(ring)
            if one.partition == attempt.partition and one.seq < attempt.seq
        ]
        if bound == "PARTITION_EVENTS":
            assert sum(before[-1].counts.values()) < 4 if before else True
        else:
            cells = {one.seq: len(one.values[5]) for one in before if one.fate is Fate.STORED}
            assert sum(cells.values()) < 100


# 5


@given(SCHEDULES)
@examples(80)
def test_5_an_unknown_outcome_ends_the_lane(schedule: Schedule) -> None:
    """It goes on repeating that write, and does nothing else: sealed it is never."""
    writer = played(schedule)
    unknown = [write for write in writer.writes if write.outcome is Outcome.UNKNOWN]
    assert [number for number, lane in enumerate(writer.lanes) if lane.ended] == [
        write.lane for write in unknown
    ]
    for write in unknown:
        attempts = [one for one in writer.ring.attempts if one.writer == write.lane]
        last = mutations(attempts)[-1]
        assert last[0].statement == INSERT_EVENTS
        written = [one for one in event_writes(writer.ring) if one in attempts]
        assert last[0].seq == max(
            one.seq for one in written if one.partition == last[0].partition
        ), "it is the last one of its minute"
        during = [one for one in last if one.began_at < write.ended_at]
        assert Fate.STORED not in {one.fate for one in during}
        assert during[0].fate is not Fate.REFUSED
        passed = write.ended_at - during[0].began_at
        assert WRITE_SECONDS - LONGEST_PAUSE_SECONDS <= passed <= WRITE_SECONDS + LONGEST_TURN
        later = [one for one in last if one.began_at >= write.ended_at]
        assert writer.repeated[write.lane] == (later[-1].fate is Fate.STORED)
        if not writer.repeated[write.lane]:
            passed = later[-1].ended_at - write.ended_at
            most = REPEAT_SECONDS + LONGEST_TURN
            assert REPEAT_SECONDS - LONGEST_PAUSE_SECONDS <= passed <= most


def test_5_only_the_first_attempt_can_fail_for_certain() -> None:
    """What a later one is told says nothing about the first."""
    listing = Turn(Fate.STORED)
    refused = played(Schedule(0.0, [Step(0, 0, 1)], [listing, Turn(Fate.REFUSED)]))
    assert [write.outcome for write in refused.writes] == [Outcome.REFUSED]
    script = [listing, Turn(Fate.LATE, 0.01, 100.0), *[Turn(Fate.REFUSED)] * 100]
    unknown = played(Schedule(0.0, [Step(0, 0, 1)], script))
    assert [write.outcome for write in unknown.writes] == [Outcome.UNKNOWN]
    assert unknown.ring.bodies() == unknown.writes[0].bodies


@pytest.mark.parametrize("stored", [False, True])
def test_5_repeating_says_whether_it_was_stored(stored: bool) -> None:
    script = [Turn(Fate.STORED), *[Turn(Fate.LOST)] * (30 if stored else 100)]
    writer = played(Schedule(0.0, [Step(0, 0, 2)], script))
    assert writer.repeated == {0: stored}
    assert len(writer.ring.bodies()) == (2 if stored else 0)


def test_5_repeats_come_at_once_and_then_more_seldom() -> None:
    writer = played(Schedule(0.0, [Step(0, 0, 1)], [Turn(Fate.STORED), *[Turn(Fate.LOST)] * 9]))
    attempts = event_writes(writer.ring)
    pauses = [other.began_at - one.ended_at for one, other in pairwise(attempts)]
    doubled = [FIRST_PAUSE_SECONDS * 2**number for number in range(9)]
    assert pauses == pytest.approx([min(one, LONGEST_PAUSE_SECONDS) for one in doubled])


# 6


@given(
    st.floats(0, 40),
    st.lists(STEPS.filter(lambda step: step.waited == step.clock == 0), min_size=1, max_size=6),
    st.frozensets(st.integers(0, 8)),
    st.integers(1, 2),
)
@examples(50)
def test_6_after_the_tables_were_emptied_what_is_there_is_listed(
    second: float, steps: list[Step], back: frozenset[int], times: int
) -> None:
    """Some of its rows may come back, with the counts that they were written with."""
    clock = VirtualClock(BEGIN + second)
    writer = Writer(ModelRing(clock))
    ring = writer.ring

    async def test() -> None:
        await writer.play([step for step in steps if step.pause < 60])
        if not writer.lanes:
            return
        for _ in range(times):
            ring.empty(lambda number: number in back)
            await writer.lane.recount()
        reader = WindowReader(ring, clock.time)
        assert await reader.counts_since(BEGIN - 60) == ring.stored()
        for partition, (sealed, counts) in ring.listed().items():
            assert sealed
            assert counts == ring.in_rows(partition)
        for partition in ring.partitions():
            assert ring.in_static_cells(partition) == ring.in_rows(partition)
        recounts = {one.partition for one in ring.attempts if one.statement == INSERT_COUNTS}
        assert times > 1 or recounts == set(ring.partitions())

    run_with(test(), clock)


def test_6_counts_of_rows_that_did_not_come_back_are_covered() -> None:
    """The later write comes back alone, with counts that are those of both."""
    clock = VirtualClock()
    writer = Writer(ModelRing(clock))

    async def test() -> None:
        await writer.play([Step(0, 0, 2), Step(1, 0, 3)])
        writer.ring.empty(lambda number: number == 1)
        await writer.lane.recount()
        ((partition, listed),) = writer.ring.listed().items()
        assert listed == (True, writer.ring.in_rows(partition))
        assert writer.ring.in_static_cells(partition) == writer.ring.in_rows(partition)

    run_with(test(), clock)


def test_6_what_came_back_of_the_last_three_minutes_is_listed() -> None:
    clock = VirtualClock()
    writer = Writer(ModelRing(clock))

    async def test() -> None:
        await writer.play([Step(0, 0, 1), Step(60, 0, 2), Step(60, 0, 3)])
        writer.ring.empty(lambda _number: True)
        await writer.lane.recount()
        listed = {minute: counts for (minute, _), (_, counts) in writer.ring.listed().items()}
        assert [sum(listed[minute].values()) for minute in sorted(listed)] == [1, 2, 3]

    run_with(test(), clock)


def test_6_two_recounts_at_the_same_time_follow_each_other() -> None:
    clock = VirtualClock()
    writer = Writer(ModelRing(clock))

    async def test() -> None:
        await writer.play([Step(0, 0, 2), Step(1, 0, 3), Step(0, 0, 1)])
        writer.ring.empty(lambda number: number < 2)
        writer.ring.script = iter([Turn(Fate.STORED, 1.0)])
        first = asyncio.create_task(writer.lane.recount())
        await asyncio.sleep(0.1)
        writer.ring.empty(lambda number: number < 1)
        await asyncio.gather(first, writer.lane.recount())
        ((partition, listed),) = writer.ring.listed().items()
        assert listed == (True, writer.ring.in_rows(partition))

    run_with(test(), clock)


# What else it says of itself


@given(SCHEDULES)
@examples(30)
def test_what_is_listed_outlives_what_it_leads_to(schedule: Schedule) -> None:
    for attempt in played(schedule).ring.attempts:
        lanes = attempt.statement == INSERT_LANE
        assert attempt.ttl == RETENTION + (LANES_OUTLIVE_SECONDS if lanes else 0)


def test_a_probe_is_in_nobody_s_count() -> None:
    clock = VirtualClock()
    script = [Turn(Fate.STORED), Turn(Fate.REFUSED), Turn(Fate.LOST)]
    ring = ModelRing(clock, script)

    async def test() -> None:
        await Lane(ring, RETENTION, WRITE_SECONDS).probe()
        with pytest.raises(StoreUnavailable):
            await Lane(ring, RETENTION, WRITE_SECONDS).probe()
        with pytest.raises(OutcomeUnknown):
            await Lane(ring, RETENTION, WRITE_SECONDS).probe()
        assert [one.ttl for one in ring.attempts] == [PROBE_TTL_SECONDS] * 3
        assert {one.statement for one in ring.attempts} == {INSERT_EVENTS}
        assert await WindowReader(ring, clock.time).counts_since(BEGIN) == {}

    run_with(test(), clock)
