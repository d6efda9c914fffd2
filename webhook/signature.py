"""Signed POSTs, as Standard Webhooks 1.0.0 has them (github.com/standard-webhooks, spec).

The sender shares a secret, `whsec_` and base64 of 24 to 64 bytes. It signs `id.timestamp.body` by
HMAC-SHA256, and sends the id, the timestamp in Unix seconds and one or more signatures, `v1,` and
base64, with spaces in between. Who sends an event again takes the same id and another timestamp.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

ID = b"webhook-id"
TIMESTAMP = b"webhook-timestamp"
SIGNATURE = b"webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what each begins with
VERSION = b"v1,"
SECRET_BYTES = range(24, 65)
LONGEST_ID = 256
_ID = re.compile(rb"[!-~]{1,%d}" % LONGEST_ID)
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a head says of its signature; nothing of it is proved."""

    id: bytes
    timestamp: bytes
    signatures: tuple[bytes, ...]
    """Those of the version that is known here."""

    @property
    def seconds(self) -> int:
        """Unix time of the signing."""
        return int(self.timestamp)


def parse_secret(text: str) -> bytes:
    """The bytes of a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`.

    Raises ValueError, in whose message there is nothing of it.
    """
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"a signing secret begins with {SECRET_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"what follows {SECRET_PREFIX} is not base64") from None
    if len(secret) not in SECRET_BYTES:
        raise ValueError(f"a signing secret has 24 to 64 bytes, not {len(secret)}")
    return secret


def parse_claim(identity: bytes | None, timestamp: bytes | None, signatures: bytes) -> Claim | None:
    """From the three headers; None if they are not as they should be."""
    if identity is None or timestamp is None:
        return None
    if not _ID.fullmatch(identity) or not _TIMESTAMP.fullmatch(timestamp):
        return None
    known = tuple(
        one.removeprefix(VERSION) for one in signatures.split() if one.startswith(VERSION)
    )
    return Claim(identity, timestamp, known) if known else None


def sign(secret: bytes, identity: bytes, timestamp: bytes, body: bytes) -> bytes:
    """The signature, without its version."""
    content = b"%b.%b.%b" % (identity, timestamp, body)
    return base64.b64encode(hmac.digest(secret, content, "sha256"))


def is_signed(claim: Claim, secrets: Iterable[bytes], body: bytes) -> bool:
    """Whether one of the signatures is by one of the secrets; takes as long for a wrong one."""
    right = False
    for secret in secrets:
        expected = sign(secret, claim.id, claim.timestamp, body)
        for signature in claim.signatures:
            right |= hmac.compare_digest(expected, signature)
    return right
