"""Events in JSON that a strict parser refuses, but that real senders produce.

JavaScript that cuts a string in the middle of an emoji makes a lone surrogate escape, `"\\ud83d"`.
By the grammar it is JSON, but it stands for no character. The text of the event is kept as it came;
in values that are read from it, U+FFFD replaces the half character.
"""

import json
import re
from typing import Any, NoReturn

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK = re.compile(r"[ \t\r\n]*")


def may_help(text: str) -> bool:
    """Whether the text has what this module takes and a strict parser does not."""
    return _SURROGATE.search(text) is not None


def objects(text: str, most: int) -> tuple[list[tuple[Any, str]], bool]:
    """Each object of the text with its own text, and whether they were in an array.

    Of more than `most` in an array the first one too many is the last one here. Raises ValueError
    or RecursionError if that is not JSON.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_int=float)  # of any length
    start = _skip(text, 0)
    if text[start : start + 1] != "[":
        value, end = decoder.raw_decode(text, start)
        _must_end(text, end)
        return [(value, text)], False
    found: list[tuple[Any, str]] = []
    position = _skip(text, start + 1)
    while text[position : position + 1] != "]":
        if found:
            if text[position : position + 1] != ",":
                raise ValueError("no comma between the elements of the array")
            position = _skip(text, position + 1)
        value, end = decoder.raw_decode(text, position)
        found.append((value, text[position:end]))
        if len(found) > most:
            return found, True
        position = _skip(text, end)
    _must_end(text, position + 1)
    return found, True


def in_characters(value: str) -> str:
    """The string with U+FFFD in place of lone surrogates."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _skip(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found is not None else position


def _must_end(text: str, position: int) -> None:
    if _skip(text, position) != len(text):
        raise ValueError("something follows the end of the document")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
