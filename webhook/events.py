"""What an event is, and how the body of a POST becomes events.

An event is any JSON object with a non-empty string `type`. Nothing else is asked of it: unknown
fields and unknown types are kept, and the text of the object is stored as it came.
"""

from http import HTTPStatus
from typing import Annotated

import msgspec

from webhook.problem import Problem


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One event as received. Encodes as the JSON array `[received_at, type, call_id, body]`."""

    received_at: int  # microseconds since the Unix epoch, by the receiver's clock
    type: str
    call_id: str | None
    body: str  # the JSON object, verbatim


class _Shape(msgspec.Struct, gc=False):
    type: Annotated[str, msgspec.Meta(min_length=1)]
    call_id: msgspec.Raw = msgspec.Raw()  # whatever it is, it refuses no event


_SHAPE = msgspec.json.Decoder(_Shape)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_SYNTAX = msgspec.json.Decoder(msgspec.Raw)
_STRING = msgspec.json.Decoder(str)
_WANTED = 'an event is a JSON object with a non-empty string "type"'


def parse(body: bytes, received_at: int, max_events: int) -> list[Event]:
    """The events of a POST body: a JSON object, or an array of 1 to `max_events` objects.

    All of them get the same `received_at`, in microseconds since the Unix epoch.

    Raises Problem: 400 if the body is not JSON, 413 if the array is too long, 422 if it is JSON
    but not events.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"the body is not UTF-8: {error.reason} at byte {error.start}"
        ) from None
    try:
        if text.lstrip(" \t\r\n").startswith("["):
            return _parse_array(text, received_at, max_events)
        shape = _SHAPE.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _explain(text, error) from None
    return [_event(received_at, shape, text)]


def _parse_array(text: str, received_at: int, max_events: int) -> list[Event]:
    elements = _ARRAY.decode(text)
    if not elements:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the array is empty; {_WANTED}")
    if len(elements) > max_events:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the array has {len(elements)} events; at most {max_events} fit in one POST",
        )
    events = []
    for index, element in enumerate(elements):
        try:
            shape = _SHAPE.decode(element)
        except msgspec.ValidationError as error:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"event {index} of the array: {error}; {_WANTED}"
            ) from None
        events.append(_event(received_at, shape, str(memoryview(element), "utf-8")))
    return events


def _event(received_at: int, shape: _Shape, body: str) -> Event:
    """The event; its text as it came. Raises Problem for a type that no store can hold."""
    if "\0" in shape.type:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, '"type" has a NUL character in it')
    return Event(received_at, shape.type, _call_id(shape.call_id), body)


def _call_id(raw: msgspec.Raw) -> str | None:
    """A call_id that is a string; one that is anything else is in the body only."""
    if bytes(memoryview(raw)[:1]) != b'"':
        return None
    call_id = _STRING.decode(raw)
    return call_id if "\0" not in call_id else None


def _explain(text: str, error: Exception) -> Problem:
    """400 where `text` is not JSON at all, 422 where it is JSON of another shape."""
    if isinstance(error, RecursionError):
        return Problem(HTTPStatus.BAD_REQUEST, "the JSON is nested too deeply")
    if isinstance(error, msgspec.ValidationError):
        try:
            _SYNTAX.decode(text)
        except (msgspec.DecodeError, RecursionError) as malformed:
            return Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {malformed}")
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}; {_WANTED}")
    return Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}")
