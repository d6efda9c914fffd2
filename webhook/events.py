"""What an event is, and how the body of a POST becomes events.

An event is any JSON object with a non-empty string `type`. There are no other requirements: unknown
fields and unknown types are kept, and the text of the object is stored as it came.
"""

import codecs
import re
from http import HTTPStatus
from typing import Annotated

import msgspec

from webhook import lenient
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
_MARK = "\ufeff"
_FORM = re.compile(r"[\w.%+\[\]-]+=[^{}\s]*")
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
        raise _explain_bytes(body, error) from None
    try:
        return _parse_strictly(text, received_at, max_events)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = error
    if text.startswith(_MARK):  # which is not part of the text that it marks as UTF-8
        text = text.removeprefix(_MARK)
        try:
            return _parse_strictly(text, received_at, max_events)
        except (msgspec.DecodeError, RecursionError) as error:
            reason = error
    if lenient.may_help(text):
        return _parse_leniently(text, received_at, max_events)
    raise _explain(text, reason)


def _parse_strictly(text: str, received_at: int, max_events: int) -> list[Event]:
    if text.lstrip(" \t\r\n").startswith("["):
        return _parse_array(text, received_at, max_events)
    return [_event(received_at, _SHAPE.decode(text), text)]


def _parse_array(text: str, received_at: int, max_events: int) -> list[Event]:
    elements = _ARRAY.decode(text)
    _check_length(len(elements), max_events)
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


def _check_length(events: int, most: int) -> None:
    if not events:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the array is empty; {_WANTED}")
    if events > most:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the array has {events} events; at most {most} fit in one POST",
        )


def _parse_leniently(text: str, received_at: int, max_events: int) -> list[Event]:
    """Events with lone surrogates in their strings."""
    try:
        found, is_array = lenient.objects(text, max_events)
    except RecursionError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the JSON is nested too deeply") from None
    except ValueError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None
    if is_array:
        _check_length(len(found), max_events)
    events = []
    for index, (value, own) in enumerate(found):
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or not kind:
            where = f"event {index} of the array: " if is_array else ""
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}{_WANTED}")
        _check_type(kind)
        call_id = value.get("call_id")
        named = _storable(lenient.in_characters(call_id)) if isinstance(call_id, str) else None
        events.append(Event(received_at, lenient.in_characters(kind), named, own))
    return events


def _check_type(kind: str) -> None:
    """Raises Problem for a type that no store can hold."""
    if "\0" in kind:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, '"type" contains a NUL character')


def _event(received_at: int, shape: _Shape, body: str) -> Event:
    """The event; its text as it came. Raises Problem for a type that no store can hold."""
    _check_type(shape.type)
    return Event(received_at, shape.type, _call_id(shape.call_id), body)


def _call_id(raw: msgspec.Raw) -> str | None:
    """A call_id that is a string; one that is anything else is in the body only."""
    if bytes(memoryview(raw)[:1]) != b'"':
        return None
    return _storable(_STRING.decode(raw))


def _storable(call_id: str) -> str | None:
    """None for one that no store can hold; it is in the body all the same."""
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
    return Problem(HTTPStatus.BAD_REQUEST, _what_came(text) or f"the body is not JSON: {error}")


def _what_came(text: str) -> str:
    """What a body that is not JSON is instead, and what it should be; empty if nobody knows."""
    if not text.strip():
        return f"the body is empty; {_WANTED}"
    if "\0" in text[:4]:
        return "the body looks like UTF-16 or UTF-32; send JSON as UTF-8"
    if _FORM.fullmatch(text.strip()):
        return "the body looks like a form (a=b&c=d); send JSON, with Content-Type application/json"
    first, newline, _ = text.strip().partition("\n")
    if newline:
        try:
            _SYNTAX.decode(first)
        except (msgspec.DecodeError, RecursionError):
            return ""
        return "the body has one JSON document per line; send them as an array: [{...}, {...}]"
    return ""


def _explain_bytes(body: bytes, error: UnicodeDecodeError) -> Problem:
    """400 for a body that is no text."""
    if body.startswith(b"\x1f\x8b"):
        detail = "the body is gzip data, but there is no Content-Encoding: gzip"
    elif body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:4]:
        detail = "the body looks like UTF-16 or UTF-32; send JSON as UTF-8"
    else:
        detail = f"the body is not UTF-8: {error.reason} at byte {error.start}"
    return Problem(HTTPStatus.BAD_REQUEST, detail)
