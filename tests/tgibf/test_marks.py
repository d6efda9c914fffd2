"""Marks: a mapping like any other, but for its size."""

import re
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tgibf.events import event_id
from tgibf.marks import LARGEST, Marks

NUMBERED = re.compile(r"(.*)-(0|[1-9]\d{0,14})", re.ASCII | re.DOTALL)

names = st.one_of(
    st.text(max_size=4),
    st.builds(event_id, st.sampled_from(["a", "b", "a-1", ""]), st.integers(0, 10_000)),
    st.sampled_from(["a-01", "a-0", "a-1", "a-٣", "a-", "-", "a--1", f"a-{10**15}", "a-+1"]),
)


@given(st.lists(st.tuples(names, st.integers(1, LARGEST))), st.lists(names))
def test_it_is_what_a_dict_is(pairs: list[tuple[str, int]], others: list[str]) -> None:
    marks = Marks()
    expected: dict[str, int] = {}
    for name, number in pairs:
        assert marks.mark(name, number) == expected.get(name, 0)
        expected.setdefault(name, number)

    assert dict(marks.items()) == expected == marks
    assert len(marks) == len(expected)
    assert sorted(marks) == sorted(expected)
    for name in others:
        assert marks.get(name) == expected.get(name)
        assert (name in marks) == (name in expected)


@given(st.lists(names))
def test_it_counts(counted: list[str]) -> None:
    marks = Marks()
    for name in counted:
        marks.count(name)

    assert marks == Counter(counted)
    assert marks.runs == {match[1] for name in counted if (match := NUMBERED.fullmatch(name))}
    assert len(marks) == len(set(counted))


def test_it_counts_no_further_than_a_byte_goes() -> None:
    marks = Marks()
    for _ in range(LARGEST + 2):
        marks.count("a-1")

    assert marks == {"a-1": LARGEST}


def test_numbered_ids_take_a_byte_each() -> None:
    marks = Marks()
    for number in range(100_000):
        marks.mark(event_id("run", number), 1)

    assert len(marks) == 100_000
    assert sum(sys.getsizeof(page) for page in vars(marks)["_pages"].values()) < 110_000
