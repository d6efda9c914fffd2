"""The outcome of an event, and how it is judged.

An outcome is never guessed:

acked    The receiver answered 200: it says that the event is stored.
refused  The event is certainly not stored: no byte of the request was written, or the receiver
         answered with an error that says so.
unknown  Neither is certain. A byte of the request was written and no complete answer came, or the
         answer leaves it open.
"""

import errno
import json
import ssl
from enum import StrEnum
from typing import NamedTuple

OUT_OF_PORTS = "out of local ports"
OUT_OF_FILES = "out of file descriptors"
GENERATOR_LIMITS = frozenset({OUT_OF_PORTS, OUT_OF_FILES})
"""Kinds of error that are the load generator's own limit and say nothing about the receiver."""

_KINDS = {
    errno.EADDRNOTAVAIL: OUT_OF_PORTS,
    errno.EMFILE: OUT_OF_FILES,
    errno.ENFILE: OUT_OF_FILES,
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
}
_KINDS_OF_CONNECT = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
}


class Outcome(StrEnum):
    """What is known of an event after its POST."""

    ACKED = "acked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Answer(NamedTuple):
    """A complete HTTP answer.

    `reusable` says whether the connection may carry another request. `body` is kept only for
    answers other than 200, and only its first 64 KiB.
    """

    status: int
    content_type: bytes
    body: bytes
    reusable: bool


class Ending(NamedTuple):
    """How one POST ended.

    `error` is the kind of error, by which errors are counted; None if the outcome is acked.
    `connection_failed` tells a failure of the connection from an HTTP answer of any status.
    """

    outcome: Outcome
    error: str | None
    connection_failed: bool
    reusable: bool = False


_ACKED = Ending(Outcome.ACKED, None, connection_failed=False)
_ACKED_REUSABLE = _ACKED._replace(reusable=True)


def answered(answer: Answer) -> Ending:
    """The ending of a POST that was answered in full."""
    if answer.status == 200:
        return _ACKED_REUSABLE if answer.reusable else _ACKED
    return Ending(_outcome_of_error(answer), f"http {answer.status}", False, answer.reusable)


def failed(kind: str, *, written: bool) -> Ending:
    """The ending of a POST whose connection failed, with or without a byte of it written."""
    outcome = Outcome.UNKNOWN if written else Outcome.REFUSED
    return Ending(outcome, kind, connection_failed=True)


def error_kind(error: OSError, *, written: bool) -> str:
    """The kind under which a socket's error is counted, before or after the first written byte."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls: certificate not trusted"
    if isinstance(error, ssl.SSLError):
        return "tls: failed"
    if kind := _KINDS_OF_CONNECT.get(error.errno or 0):
        return kind if written else f"connect: {kind}"
    return _KINDS.get(error.errno or 0) or f"socket: {error.strerror or error}"


def _outcome_of_error(answer: Answer) -> Outcome:
    """The outcome of an answer that is not 200.

    A 4xx refuses. A 5xx refuses only if it says that nothing was stored: a proxy's 502 or 504 may
    hide a receiver that did store the event. Redirects and other successes promise neither.
    """
    if answer.status < 400:
        return Outcome.UNKNOWN
    stored = _stored(answer)
    if stored == "unknown" or (answer.status >= 500 and stored != "no"):
        return Outcome.UNKNOWN
    return Outcome.REFUSED


def _stored(answer: Answer) -> object:
    """The extension member "stored" of a problem+json answer (RFC 9457), None if it has none."""
    media_type = answer.content_type.split(b";")[0].strip().lower()
    if media_type != b"application/problem+json":
        return None
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return None
    return problem.get("stored") if isinstance(problem, dict) else None
