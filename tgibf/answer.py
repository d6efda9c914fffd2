"""Reads HTTP answers from the bytes of one connection."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tgibf.outcome import Answer

_BODY_LIMIT = 64 * 1024
_FRAMING = (b"content-length", b"transfer-encoding")


class MalformedAnswerError(Exception):
    """What the receiver sent is not an HTTP answer."""


class AnswerReader:
    """Turns bytes into one `Answer` after another.

    The `on_` methods are called by the parser. An answer with neither Content-Length nor chunks
    ends where the connection does: `finish` tells.
    """

    __slots__ = ("_answer", "_body", "_content_type", "_framed", "_headed", "_parser", "_stray")

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._answer: Answer | None = None
        self._body = b""
        self._content_type = b""
        self._framed = False
        self._headed = False
        self._stray = False

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes as they came; the answer, once it is complete.

        Raises MalformedAnswerError.
        """
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._answer is None:
                raise MalformedAnswerError(str(error)) from error
            self._stray = True  # the answer was whole; what follows it is no HTTP
        return self._take()

    def finish(self) -> Answer | None:
        """The connection has ended: the answer if that completes it, else None."""
        if self._headed and not self._framed:
            self.on_message_complete()
        answer = self._take()
        return answer and answer._replace(reusable=False)

    def _take(self) -> Answer | None:
        if (answer := self._answer) is None:
            return None
        if self._stray:
            answer = answer._replace(reusable=False)
        self._reset()
        return answer

    def on_message_begin(self) -> None:
        if self._answer is not None:
            self._stray = True  # a second answer to a single request: the two must not mix

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self._content_type = value
        elif name in _FRAMING:
            self._framed = True

    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, data: bytes) -> None:
        if self._parser.get_status_code() != 200 and len(self._body) < _BODY_LIMIT:
            self._body = (self._body + data)[:_BODY_LIMIT]

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._answer is not None:
            return
        if status < 200:  # an interim answer, such as 100 Continue: the real one follows
            self._reset()
            return
        reusable = self._parser.should_keep_alive()
        self._answer = Answer(status, self._content_type, self._body, reusable)
