"""What a webhook wants to see before it takes an event: a signature, a password, or a token.

The key is in a file that nobody but its owner can read, in one line: `whsec_...` signs as Standard
Webhooks 1.0.0 has it (github.com/standard-webhooks, spec), `basic USER PASSWORD` and
`bearer TOKEN` are sent as they are. `#` begins a comment.
"""

import base64
import binascii
import hmac
import stat
import time
from collections.abc import Callable
from pathlib import Path

SECRET_PREFIX = "whsec_"  # noqa: S105 - what each begins with
SECRET_BYTES = range(24, 65)
_ALLOWED = "one line: whsec_..., basic USER PASSWORD or bearer TOKEN"

Key = Callable[[str, bytes], bytes]
"""Makes header lines for the id of a POST and its body; they hold for a few minutes."""


class KeyFileError(ValueError):
    """A key file that can't be used; the message says why, and nothing of what is in it."""


def signing_key(secret: bytes, now: Callable[[], float] = time.time) -> Key:
    """The key that signs with `secret`, at the moment in which it is asked."""

    def sign(identity: str, body: bytes) -> bytes:
        identity_ = identity.encode()
        timestamp = b"%d" % now()
        content = b"%b.%b.%b" % (identity_, timestamp, body)
        signature = base64.b64encode(hmac.digest(secret, content, "sha256"))
        return b"webhook-id: %b\r\nwebhook-timestamp: %b\r\nwebhook-signature: v1,%b\r\n" % (
            identity_,
            timestamp,
            signature,
        )

    return sign


def plain_key(authorization: str) -> Key:
    """The key that is shown in the header Authorization."""
    line = f"Authorization: {authorization}\r\n".encode()
    return lambda _identity, _body: line


def parse_key(text: str) -> Key:
    """From the text of a key file. Raises KeyFileError."""
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    if len(lines) != 1 or not text.isascii():
        raise KeyFileError(f"it has {len(lines)} lines with a key; allowed is {_ALLOWED}")
    match lines[0]:
        case ["bearer", token]:
            return plain_key(f"Bearer {token}")
        case ["basic", user, password] if ":" not in user:
            return plain_key("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
        case [secret] if secret.startswith(SECRET_PREFIX):
            return signing_key(_secret(secret.removeprefix(SECRET_PREFIX)))
    raise KeyFileError(f"it has no key in it; allowed is {_ALLOWED}")


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise KeyFileError(f"what follows {SECRET_PREFIX} is not base64") from None
    if len(secret) not in SECRET_BYTES:
        raise KeyFileError(f"a signing secret has 24 to 64 bytes, not {len(secret)}")
    return secret


def read_key(path: Path) -> Key:
    """From a file that nobody but its owner can read. Raises KeyFileError."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
    except OSError as error:
        raise KeyFileError(f"{path}: it can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: it is not ASCII; allowed is {_ALLOWED}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"others than its owner may use it: chmod 600 {path}")
    try:
        return parse_key(text)
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from None
