"""The keys file: who may send events here, and who may read.

A line for each key, with the name of its owner first; `#` begins a comment:

    shop    whsec_BASE64
    shop    basic shop SHA256    # of the password, in hexadecimal
    gateway bearer SHA256        # of the token
    grafana read bearer SHA256   # may read, and not send
    people  read basic ana SHA256

Every line is valid, and an owner may have several: so a key is changed by adding the new one,
telling the sender, and removing the old one.

Passwords and tokens are to be random, of 16 bytes or more: a word that somebody has made up can be
guessed from its hash.
"""

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webhook.signature import SECRET_PREFIX, parse_secret

MOST_KEYS = 100
MOST_BYTES = 1 << 16
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_OF_NOTHING = frozenset(hashlib.sha256(one).digest() for one in (b"", b"\n"))
_USER = re.compile(r"[!-9;-~]+")  # no colon, which ends it in the header


class KeysError(Exception):
    """A keys file that can't be used; the message says why, and nothing of what is in it."""


Credential = tuple[bytes, bytes]
"""A user (empty for a bearer) and the SHA-256 of the password or token."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a keys file holds."""

    signing: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    """The secrets of each owner."""
    sending: frozenset[Credential] = frozenset()
    reading: frozenset[Credential] = frozenset()

    @property
    def for_sending(self) -> bool:
        """Whether there is a key for that."""
        return bool(self.signing or self.sending)


def parse_keys(text: str) -> Keys:
    """From the text of a keys file. Raises KeysError."""
    signing: dict[str, tuple[bytes, ...]] = {}
    credentials: dict[bool, set[Credential]] = {False: set(), True: set()}
    number = 0
    for place, words in _lines(text):
        number += 1
        owner, *rest = words
        if not _NAME.fullmatch(owner):
            raise KeysError(f"line {place}: it begins with a name of letters, digits, dots, dashes")
        reads = rest[:1] == ["read"]
        rest = rest[reads:]
        if not reads and len(rest) == 1 and rest[0].startswith(SECRET_PREFIX):
            try:
                secret = parse_secret(rest[0])
            except ValueError as error:
                raise KeysError(f"line {place}: {error}") from None
            signing[owner] = (*signing.get(owner, ()), secret)
        else:
            credentials[reads].add(_credential(place, rest))
    if not number:
        raise KeysError("it has no key in it")
    if number > MOST_KEYS:
        raise KeysError(f"it has {number} keys; at most {MOST_KEYS} are taken")
    return Keys(signing, frozenset(credentials[False]), frozenset(credentials[True]))


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for place, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            yield place, words


def _credential(place: int, words: list[str]) -> Credential:
    kind, *rest = words or [""]
    user = rest[0] if kind == "basic" and len(rest) == 2 else ""
    if (kind == "basic") != bool(user) or kind not in ("basic", "bearer") or not rest:
        raise KeysError(
            f"line {place}: after the name comes whsec_..., bearer SHA256 or basic USER SHA256; "
            "the last two after the word read, if they are for reading"
        )
    if len(rest) != 1 + bool(user) or not _DIGEST.fullmatch(rest[-1]):
        raise KeysError(f"line {place}: it ends with a SHA-256 of 64 hexadecimal digits")
    if user and not _USER.fullmatch(user):
        raise KeysError(f"line {place}: a user's name is of printable ASCII, without a colon")
    digest = bytes.fromhex(rest[-1])
    if digest in _OF_NOTHING:
        raise KeysError(f"line {place}: its SHA-256 is that of nothing, or of the end of a line")
    return user.encode(), digest


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_keys(path: Path) -> Keys:
    """From a file that nobody but its owner can read. Raises KeysError."""
    try:
        # A pipe without a writer would be waited for.
        with open(path, "rb", opener=_without_waiting) as file:
            kind = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(kind):
                raise KeysError("it is no ordinary file")
            mode = stat.S_IMODE(kind)
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeysError(f"it can't be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeysError(f"others than its owner may use it: chmod 600 {path}")
    if len(data) > MOST_BYTES:
        raise KeysError(f"it has more than {MOST_BYTES} bytes")
    try:
        return parse_keys(data.decode())
    except UnicodeDecodeError:
        raise KeysError("it is not UTF-8") from None


def parse_authorization(value: bytes) -> Credential | None:
    """What an Authorization header proves to know; None for what is neither Basic nor Bearer."""
    scheme, _, rest = value.partition(b" ")
    rest = rest.strip()
    if scheme.lower() == b"bearer" and rest:
        return b"", hashlib.sha256(rest).digest()
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = base64.b64decode(rest, validate=True).partition(b":")
    except (ValueError, binascii.Error):
        return None
    return (user, hashlib.sha256(password).digest()) if colon and user else None
