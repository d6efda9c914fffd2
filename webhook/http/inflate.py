"""Compressed bodies (RFC 9110, 8.4.1), inflated as they come in, and never beyond a bound."""

import zlib
from http import HTTPStatus

from webhook.problem import Problem

TAKEN = "gzip, deflate"
MOST_RATIO = 250
"""Inflated bytes for each compressed one, past the first `FREE_BYTES`: JSON stays far below."""
FREE_BYTES = 1 << 16
MOST_MEMBERS = 100
"""Of gzip data, which may be of several one after the other (RFC 1952, 2.2)."""
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Inflater:
    """Inflates one body of at most `most` bytes; `name` is the coding, as the header has it.

    Raises Problem: 415 for another coding, 400 for data of another kind, 413 beyond the bounds.
    """

    def __init__(self, name: bytes, most: int) -> None:
        coding = name.strip().lower()
        if coding not in (b"gzip", b"x-gzip", b"deflate"):
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Encoding {name.decode('latin-1')!r} is not taken; send {TAKEN}, or none",
                headers={"Accept-Encoding": TAKEN},
            )
        self.name = name
        self._coding = coding.decode()
        self._most = most
        self._stream = zlib.decompressobj(_GZIP) if coding != b"deflate" else None
        self._head = b""
        self._taken = self._given = 0
        self._members = 1

    def feed(self, data: bytes) -> bytes:
        """What a further piece of the body adds."""
        self._taken += len(data)
        if self._stream is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data, self._head = self._head, b""
            self._stream = zlib.decompressobj(_ZLIB if _has_zlib_header(data) else _RAW)
        allowed = min(self._most, FREE_BYTES + MOST_RATIO * self._taken)
        inflated = self._inflate(self._stream, data, allowed)
        while rest := self._stream.unused_data:
            self._members += 1
            further = self._coding != "deflate" and _GZIP_MAGIC.startswith(rest[:2])
            if not further or self._members > MOST_MEMBERS:
                raise Problem(
                    HTTPStatus.BAD_REQUEST, f"something follows the end of the {self._coding} data"
                )
            self._stream = zlib.decompressobj(_GZIP)
            inflated += self._inflate(self._stream, rest, allowed)
        return inflated

    def _inflate(self, stream: "zlib._Decompress", data: bytes, allowed: int) -> bytes:
        try:
            inflated = stream.decompress(data, allowed - self._given + 1)
        except zlib.error as error:
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"the body is not valid {self._coding} data: {error}"
            ) from None
        self._given += len(inflated)
        if self._given > allowed:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"inflated, the body may have {self._most} bytes, and {MOST_RATIO} for each "
                "compressed one; send fewer events at once",
            )
        return inflated

    def finish(self) -> None:
        """The body has come in. Raises Problem if its data has not ended."""
        if self._stream is None or not self._stream.eof:
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"the body ends in the middle of the {self._coding} data"
            )


def _has_zlib_header(data: bytes) -> bool:
    """Whether deflate came in its wrapper, as the standard has it; some senders leave that out."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
