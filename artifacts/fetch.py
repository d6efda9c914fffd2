"""Files from the network, each checked against its SHA-256 before anything uses it."""

import hashlib
import http.client
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

CHUNK = 1 << 18
NO_ANSWER_SECONDS = 20
SHOW_EVERY_SECONDS = 2.0


class FetchError(Exception):
    """A file could not be fetched; the message says from where and why."""


class ChecksumError(FetchError):
    """The file is not the one that the project names. No other source may replace it silently."""


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    url: str, target: Path, checksum: str, no_answer_seconds: float = NO_ANSWER_SECONDS
) -> None:
    """Make `target` the file at `url`, showing the progress on stderr.

    `target` appears whole and checked, or not at all. Raises FetchError, also when nothing comes
    for `no_answer_seconds`, and ChecksumError where what came is something else.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        found = _receive(url, part, no_answer_seconds)
        if found != checksum:
            raise ChecksumError(
                f"{url} is not the expected file: its SHA-256 is {found}, wanted is {checksum}"
            )
        part.replace(target)
    except urllib.error.HTTPError as error:
        with error:
            raise FetchError(f"{url}: {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{url}: {getattr(error, 'reason', error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _receive(url: str, part: Path, no_answer_seconds: float) -> str:
    """Write what `url` answers to `part`; its SHA-256."""
    digest = hashlib.sha256()
    with (
        urllib.request.urlopen(url, timeout=no_answer_seconds) as answer,  # noqa: S310
        part.open("wb") as file,
    ):
        expected = int(answer.headers.get("Content-Length") or 0)
        received, shown = 0, time.monotonic()
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if time.monotonic() - shown >= SHOW_EVERY_SECONDS:
                shown = time.monotonic()
                share = f" of {expected / 1e6:.0f}" if expected else ""
                print(f"    {received / 1e6:.0f}{share} MB", file=sys.stderr, flush=True)
        if expected and received != expected:
            raise FetchError(f"{url}: it ended after {received} of {expected} bytes")
    return digest.hexdigest()
