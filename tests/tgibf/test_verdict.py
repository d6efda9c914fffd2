"""The verdict: a ledger against a store."""

from hypothesis import given
from hypothesis import strategies as st

from tgibf.outcome import Outcome
from tgibf.verdict import judge

names = st.sampled_from([f"run-{number}" for number in range(12)])
ledgers = st.dictionaries(names, st.sampled_from(Outcome))
stores = st.lists(names)


def test_every_case_at_once() -> None:
    outcomes = {
        "kept": Outcome.ACKED,
        "lost": Outcome.ACKED,
        "recovered": Outcome.UNKNOWN,
        "unknown": Outcome.UNKNOWN,
        "refused": Outcome.REFUSED,
        "refused but stored": Outcome.REFUSED,
    }

    verdict = judge(outcomes, ["kept", "recovered", "recovered", "refused but stored", "alien"])

    assert verdict.attempted == 6
    assert verdict.acknowledged == 2
    assert verdict.lost == {"lost"}
    assert verdict.recovered == {"recovered"}
    assert verdict.unknown == {"unknown"}
    assert verdict.unexpected == {"refused but stored", "alien"}
    assert verdict.duplicates == {"recovered"}
    assert not verdict.valid


def test_unknown_outcomes_alone_break_no_promise() -> None:
    verdict = judge({"a": Outcome.UNKNOWN, "b": Outcome.UNKNOWN, "c": Outcome.ACKED}, ["a", "c"])

    assert verdict.valid


def test_what_an_incomplete_ledger_does_not_name_proves_nothing() -> None:
    outcomes = {"a-1": Outcome.ACKED, "a-2": Outcome.REFUSED, "b-1": Outcome.ACKED}

    verdict = judge(outcomes, ["a-1", "a-2", "a-3", "b-1", "b-2"], {"a"})

    assert verdict.unnamed == {"a-3"}
    assert verdict.unexpected == {"a-2", "b-2"}
    assert judge(outcomes, ["a-1", "b-1", "a-9"], {"a"}).valid
    assert not judge(outcomes, ["b-1", "a-9"], {"a"}).valid, "a-1 is lost"


def test_a_duplicate_alone_breaks_a_promise() -> None:
    assert not judge({"a": Outcome.ACKED}, ["a", "a"]).valid


@given(ledgers, stores)
def test_every_id_is_in_its_place(outcomes: dict[str, Outcome], stored: list[str]) -> None:
    verdict = judge(outcomes, stored)

    for name in outcomes.keys() | set(stored):
        outcome = outcomes.get(name)
        assert (name in verdict.lost) == (outcome is Outcome.ACKED and name not in stored)
        assert (name in verdict.recovered) == (outcome is Outcome.UNKNOWN and name in stored)
        assert (name in verdict.unknown) == (outcome is Outcome.UNKNOWN and name not in stored)
        assert (name in verdict.unexpected) == (
            outcome in (None, Outcome.REFUSED) and name in stored
        )
        assert (name in verdict.duplicates) == (stored.count(name) > 1)
    assert verdict.attempted == len(outcomes)
    assert verdict.acknowledged == list(outcomes.values()).count(Outcome.ACKED)


@given(ledgers, stores)
def test_valid_means_nothing_lost_unexpected_or_doubled(
    outcomes: dict[str, Outcome], stored: list[str]
) -> None:
    verdict = judge(outcomes, stored)

    acked = {name for name, outcome in outcomes.items() if outcome is Outcome.ACKED}
    allowed = acked | {name for name, outcome in outcomes.items() if outcome is Outcome.UNKNOWN}
    assert verdict.valid == (acked <= set(stored) <= allowed and len(stored) == len(set(stored)))
