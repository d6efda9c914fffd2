"""Who may send events here, and who may read: judged by the keys file, as it is now."""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from webhook.http.exchange import PostExchange
from webhook.http.notice import Notice
from webhook.keys import KeysError, parse_authorization, read_keys
from webhook.problem import Problem
from webhook.replay import Key, Replays, key_of
from webhook.signature import ID, SIGNATURE, TIMESTAMP, is_signed, parse_claim

log = logging.getLogger(__name__)

CHALLENGE = 'Basic realm="events"'
REASONS = {
    "missing": "send a signature (Standard Webhooks), or Authorization: Basic or Bearer",
    "unknown": "nobody here has the user, password or token in Authorization",
    "bad": "webhook-id, -timestamp and -signature are not what a key known here makes of the body",
    "stale": "webhook-timestamp is too far from this machine's time; sign each attempt anew",
}
_AUTHORIZATION = b"authorization"
_LOOKED_AT = frozenset({_AUTHORIZATION, ID, TIMESTAMP, SIGNATURE})


class Access:
    """Judges by the keys in the file at `path`; `look` reads it again when it has changed.

    What the file guards at the start, sending or reading, is guarded from then on, whatever
    becomes of its keys. A signature is taken for `tolerance_seconds` before and after its time, and
    its id is remembered by `replays`.

    Raises KeysError.
    """

    def __init__(
        self,
        path: Path,
        tolerance_seconds: float,
        replay_ids: int,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._tolerance = tolerance_seconds
        self._now = now
        self._monotonic = monotonic
        self._seen = self._identity()
        self._keys = read_keys(path)
        self._notice = Notice(log, "a request without a right key was refused (%s); see /metrics")
        self.guards_sending = self._keys.for_sending
        self.guards_reading = bool(self._keys.reading)
        self.replays = Replays(2 * tolerance_seconds, replay_ids, monotonic)
        self.refused = dict.fromkeys(REASONS, 0)

    def look(self) -> None:
        """Take the file as it is now; as it was, if it is wrong now."""
        identity = self._identity()
        if identity == self._seen:
            return
        self._seen = identity
        try:
            self._keys = read_keys(self._path)
        except KeysError as error:
            log.warning("%s: %s; the keys that it had remain valid", self._path, error)
        else:
            log.info("the keys of %s were read again", self._path)

    def admit(self, exchange: PostExchange) -> None:
        """Judge a POST by its head, as far as that goes. Raises Problem."""
        exchange.claim = None
        sent = {}
        for name, value in exchange.raw_headers:
            lower = name.lower()
            if lower in _LOOKED_AT:
                sent[lower] = value
        authorization, signatures = sent.get(_AUTHORIZATION), sent.get(SIGNATURE)
        known = authorization is not None and self._knows_sender(authorization)
        if signatures is None:
            if known:
                return
            raise self._refusal("missing" if authorization is None else "unknown")
        claim = parse_claim(sent.get(ID), sent.get(TIMESTAMP), signatures)
        stale = claim is not None and abs(self._now() - claim.seconds) > self._tolerance
        exchange.is_let_in = known
        if claim is not None and not stale:
            exchange.claim = claim
        elif not known:
            raise self._refusal("stale" if stale else "bad")

    def _knows_sender(self, authorization: bytes) -> bool:
        return parse_authorization(authorization) in self._keys.sending

    def verify(self, exchange: PostExchange, body: bytes) -> Key | None:
        """Judge the signature, if there is one: the sender and its id.

        It may be another's, if a password or a token has let the POST in. Raises Problem.
        """
        claim = exchange.claim
        if claim is None:
            return None
        for owner, secrets in self._keys.signing.items():
            if is_signed(claim, secrets, body):
                return key_of(owner, claim.id)
        if exchange.is_let_in:
            return None
        raise self._refusal("bad")

    def check_reader(self, authorization: str | None) -> None:
        """Raises Problem for one who may not read."""
        if not self.guards_reading:
            return
        if authorization is None:
            raise self._refusal("missing")
        if parse_authorization(authorization.encode("latin-1")) not in self._keys.reading:
            raise self._refusal("unknown")

    def _refusal(self, reason: str) -> Problem:
        self.refused[reason] += 1
        self._notice.say(self._monotonic(), reason)
        return Problem(
            HTTPStatus.UNAUTHORIZED, REASONS[reason], headers={"WWW-Authenticate": CHALLENGE}
        )

    def _identity(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode
