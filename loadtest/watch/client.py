"""HTTP requests, each on a connection that is kept for the next one."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit


class NoAnswerError(Exception):
    """There was no answer 200; the message says what came instead."""


class Client:
    """To the server at `url`. For one thread."""

    def __init__(self, url: str, seconds: float) -> None:
        """`seconds` is how long an answer may take."""
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        self._path = parts.path.rstrip("/")
        self._used = False

    def get(self, path: str) -> bytes:
        """The body of the answer. Raises NoAnswerError."""
        used, self._used = self._used, True
        try:
            return self._ask(path)
        except (HTTPException, OSError) as error:
            self._connection.close()
            # A connection that has been idle may have been closed from the other side.
            if not used or isinstance(error, TimeoutError):
                raise NoAnswerError(_reason(error)) from error
        try:
            return self._ask(path)
        except (HTTPException, OSError) as error:
            self._connection.close()
            raise NoAnswerError(_reason(error)) from error

    def json(self, path: str) -> Any:
        """The answer's document. Raises NoAnswerError."""
        body = self.get(path)
        try:
            return json.loads(body)
        except ValueError as error:
            raise NoAnswerError(f"no JSON: {body[:80]!r}") from error

    def close(self) -> None:
        self._connection.close()

    def _ask(self, path: str) -> bytes:
        self._connection.request("GET", self._path + path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != HTTPStatus.OK:
            raise NoAnswerError(f"HTTP {answer.status}")
        return body


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
