"""Which of Prometheus' answers may change the count: one finite number, and nothing else.

nomad-autoscaler 0.5.0 takes infinity for the smallest number there is, and would scale to the
minimum at once.
"""

import json
import math
from typing import Any

MOST = 1000
"""As in prometheus/rules/webhook.yml."""


class NoCountError(Exception):
    """It is no number of allocations; the message says why."""


def count_of(body: bytes) -> float:
    """The number that an answer of `/api/v1/query` has. Raises NoCountError."""
    try:
        data = json.loads(body)["data"]
        kind, result = data["resultType"], data["result"]
        streams = [result] if kind == "scalar" else [one["value"] for one in result]
        values = [float(value) for _, value in streams]
    except (ValueError, KeyError, TypeError) as error:
        raise NoCountError("this is not an answer of Prometheus'") from error
    if len(values) != 1:
        raise NoCountError(f"there are {len(values)} values, not one" if values else "no value")
    (value,) = values
    if not math.isfinite(value):
        raise NoCountError(f"the value is {value}")
    if not 1 <= value <= MOST:
        raise NoCountError(f"the value is {value:g}, not between 1 and {MOST}")
    return value


def error_of(why: str) -> bytes:
    """An answer in Prometheus' shape that says that there is none."""
    answer: dict[str, Any] = {"status": "error", "errorType": "unavailable", "error": why}
    return json.dumps(answer).encode()
