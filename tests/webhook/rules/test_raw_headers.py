"""A POST of events has its headers as they came, for whoever takes it, and not for longer."""

from webhook.http.exchange import Exchange, PostExchange
from webhook.http.limits import HttpLimits
from webhook.http.parser import RequestParser
from webhook.problem import Problem

LIMITS = HttpLimits(
    header_bytes=1000,
    body_bytes=1000,
    receiving_bytes=1000,
    request_seconds=10.0,
    idle_seconds=10.0,
    connection_age_seconds=10.0,
    event_paths=frozenset({b"/events"}),
)
POST = b"POST /events HTTP/1.1\r\nHost: test\r\nAuthorization: %b\r\nContent-Length: 2\r\n\r\n{}"


class Requests:
    """Holds what a parser finds."""

    remote_ip = "127.0.0.1"
    stopped = False

    def __init__(self) -> None:
        self.found: list[Exchange] = []

    def begin(self, exchange: Exchange) -> None:
        self.found.append(exchange)

    def complete(self, exchange: Exchange, body: bytes) -> None:
        assert exchange is self.found[-1]
        assert body == b"{}"

    def may_keep_alive(self, exchange: Exchange) -> bool:
        return exchange.keep_alive

    def prepare(self, exchange: Exchange, answer: Problem | int) -> bool:  # noqa: ARG002
        return False

    def flush(self) -> None:
        """Nothing is owed."""

    def lose(self) -> None:
        """Nobody is there."""


def test_each_post_has_its_own() -> None:
    requests = Requests()
    RequestParser(requests, LIMITS).feed(memoryview(POST % b"Bearer a" + POST % b"Bearer b"))
    seen = []
    for exchange in requests.found:
        assert isinstance(exchange, PostExchange)
        seen.append(dict(exchange.raw_headers)[b"Authorization"])
    assert seen == [b"Bearer a", b"Bearer b"]
