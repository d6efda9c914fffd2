"""Errors as `application/problem+json` (RFC 9457).

Every problem says in `stored` whether the events of the request are in the store: `no`, or
`unknown` if a write had begun and its outcome could not be learned. Only `unknown` leaves room for
doubt; a client that must not send twice may resend only after `no`.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import msgspec

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

Stored = Literal["no", "unknown"]


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is not a success; `detail` says what was wrong and what would be right."""

    status: HTTPStatus
    detail: str
    stored: Stored = "no"
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The problem as a JSON document."""
        return msgspec.json.encode(
            {
                "type": "about:blank",
                "title": self.status.phrase,
                "status": self.status.value,
                "detail": self.detail,
                "stored": self.stored,
            }
        )


def unavailable(detail: str, stored: Stored = "no") -> Problem:
    """503 with Retry-After: what clients get under overload and while the store is down."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, detail, stored, {"Retry-After": str(RETRY_AFTER_SECONDS)}
    )
