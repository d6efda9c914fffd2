"""What is an event, and what is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.events import Event, parse
from webhook.problem import Problem

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
TYPE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
INDENT = st.none() | st.integers(0, 3)


def parsed_or_problem(body: bytes) -> list[Event] | Problem:
    try:
        return parse(body, 7, 10)
    except Problem as problem:
        return problem


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | TYPE))
def test_any_object_with_a_type_is_an_event_kept_verbatim(fields: dict[str, object]) -> None:
    for indent in (None, 1):
        body = json.dumps({**fields, "type": "call.new"}, indent=indent).encode()
        assert parse(body, 7, 10) == [
            Event(7, "call.new", _call_id(fields), body.decode())
        ]  # fmt: skip


def _call_id(fields: dict[str, object]) -> str | None:
    call_id = fields.get("call_id")
    return call_id if isinstance(call_id, str) else None


@pytest.mark.parametrize("marks", [2, 2_000, 300_000])
def test_one_mark_of_utf_8_is_taken_and_any_more_are_no_json(marks: int) -> None:
    mark = "\ufeff".encode()
    assert parse(mark + b'{"type": "x"}', 7, 10)[0].body == '{"type": "x"}'
    refused = parsed_or_problem(mark * marks + b'{"type": "x"}')
    assert isinstance(refused, Problem)
    assert refused.status == 400


def test_an_array_is_given_up_at_the_first_element_too_many() -> None:
    """Half a character has it read by Python, which takes its time for a million elements."""
    body = b"[" + b"0," * 300_000 + rb'"\ud83d"]'
    refused = parsed_or_problem(body)
    assert isinstance(refused, Problem)
    assert refused.status == 413


def test_beside_half_a_character_a_number_is_no_text_either() -> None:
    refused = parsed_or_problem(rb'{"type": 7, "half": "\ud83d"}')
    assert isinstance(refused, Problem)
    assert refused.status == 422
    (event,) = parse(rb'{"type": "x", "call_id": 7, "half": "\ud83d"}', 7, 10)
    assert event.call_id is None


def test_a_number_of_any_length_may_be_beside_half_a_character() -> None:
    body = b'{"type": "x", "n": ' + b"9" * 5000 + rb', "half": "\ud83d"}'
    assert parse(body, 7, 10)[0].body == body.decode()


@given(st.lists(TYPE, min_size=1, max_size=20), INDENT)
def test_an_array_keeps_each_of_its_objects_verbatim(types: list[str], indent: int | None) -> None:
    texts = [json.dumps({"x": [1, "é]},{"], "type": kind}, indent=indent) for kind in types]
    events = parse(("[" + " ,\n".join(texts) + "]").encode(), 7, 20)
    assert [event.body for event in events] == texts
    assert [event.type for event in events] == types


@given(JSON)
def test_json_of_any_shape_is_taken_or_refused_as_what_it_is(document: object) -> None:
    """422 for JSON that is no event; never 400, never another error."""
    body = json.dumps(document, ensure_ascii=True).encode()
    valid = isinstance(document, dict) and isinstance(document.get("type"), str)
    outcome = parsed_or_problem(body)
    if isinstance(outcome, Problem):
        # An unpaired surrogate is JSON's grammar but no text: refused as malformed.
        allowed = {422, 413} if "\\ud" not in body.decode().lower() else {400, 422, 413}
        assert outcome.status in allowed
    else:
        assert outcome
        assert valid or isinstance(document, list)


@given(st.binary(max_size=60))
def test_no_bytes_break_it(body: bytes) -> None:
    outcome = parsed_or_problem(body)
    if isinstance(outcome, Problem):
        assert outcome.status in {400, 413, 422}
        assert outcome.stored == "no"
    else:
        assert all(event.body.encode() in body for event in outcome)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"type": 5}', "Expected `str`, got `int`"),
        (b'{"type": ""}', "length >= 1"),
        (b"{}", "missing required field `type`"),
        (b'[{"type": "a"}, {"type": 5}]', "event 1 of the array"),
        (b"[]", "the array is empty"),
        (b'[{"type": "a"}, {"type": "b"}, {"type": "c"}]', "at most 2"),
        (b'{"type"', "not JSON"),
        (b'{"type": "\xff"}', "not UTF-8"),
    ],
)
def test_the_problem_names_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(body, 7, 2)
    assert words in caught.value.detail
