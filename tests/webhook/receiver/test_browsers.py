"""What web pages may do here: those of strangers nothing, whatever name leads here."""

from collections.abc import Iterator

import pytest

from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawAnswer, RawConnection, post

EVENT = b'{"type": "call.new"}'


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    store = tmp_path_factory.mktemp("browsers") / "events.db"
    with Receiver(store, hosts="events.example.com") as running:
        yield running


def ask(receiver: Receiver, request: bytes) -> RawAnswer:
    with RawConnection(receiver.port) as raw:
        raw.send(request)
        return raw.answer()


def get(path: str, host: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def by_name(host: str, *headers: str) -> bytes:
    return post(EVENT, *headers).replace(b"Host: test", f"Host: {host}".encode())


@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: https://evil.example", "Content-Type: text/plain"),
        ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Type: text/plain"),
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: same-site", "Origin: http://test"),
        ("Origin: null",),
        ("Origin: http://test:81",),
        ("origin: https://evil.example", "Content-Type: application/x-www-form-urlencoded"),
    ],
)
def test_a_page_of_another_origin_stores_nothing(
    shared: Receiver, headers: tuple[str, ...]
) -> None:
    before = shared.count()
    answer = ask(shared, post(EVENT, *headers))
    assert (answer.status, answer.json["stored"]) == (403, "no")
    assert shared.count() == before
    assert shared.metric('webhook_refused_requests_total{status="403"}') > 0


def test_it_is_refused_before_its_body_comes(shared: Receiver) -> None:
    head = post(EVENT, "Origin: null", "Expect: 100-continue").removesuffix(EVENT)
    assert ask(shared, head).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Content-Type: text/plain",),
        ("Content-Type: application/x-www-form-urlencoded",),  # as `curl -d` says
        ("User-Agent: Mozilla/5.0", "Referer: https://evil.example/", "Cookie: a=b"),
        ("Origin: http://test",),
        ("Sec-Fetch-Site: same-origin", "Origin: http://test"),
        ("Sec-Fetch-Site: none",),
    ],
)
def test_who_is_no_strangers_page_is_taken(shared: Receiver, headers: tuple[str, ...]) -> None:
    assert ask(shared, post(EVENT, *headers)).status == 200


@pytest.mark.parametrize("host", ["evil.example", "webhook.example.com:8080", "events.example.com"])
def test_a_sender_may_call_this_by_any_name(shared: Receiver, host: str) -> None:
    assert ask(shared, by_name(host)).status == 200
    for method in ("GET", "HEAD", "OPTIONS"):
        assert ask(shared, get("/events", host, method)).status in (200, 204)
    for path in ("/health", "/ready"):
        assert ask(shared, get(path, host)).status == 200


def test_a_page_whose_name_was_turned_to_this_machine_stores_nothing(shared: Receiver) -> None:
    rebound = by_name("evil.example:8080", "Origin: http://evil.example:8080")
    assert ask(shared, rebound).status == 403
    ours = by_name("events.example.com:8080", "Origin: http://events.example.com:8080")
    assert ask(shared, ours).status == 200


READABLE = ["/", "/page/page.js", "/events/count", "/events/minutes", "/metrics", "/allocation"]


@pytest.mark.parametrize("path", [*READABLE, "/allocations"])
def test_and_reads_nothing(shared: Receiver, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(shared, get(path, "evil.example:8080", method))
        assert answer.status == 421
    assert "WEBHOOK_HOSTS" in ask(shared, get(path, "evil.example")).json["detail"]
    for host in ("127.0.0.1:1", "[::1]:1", "localhost:1", "node-1:9999", "events.example.com"):
        assert ask(shared, get(path, host)).status == 200


@pytest.mark.parametrize("path", [*READABLE, "/allocations", "/health", "/ready", "/events", "/no"])
def test_no_answer_is_of_use_to_another_site(shared: Receiver, path: str) -> None:
    headers = ask(shared, get(path, "localhost")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert f"default-src '{'self' if path in READABLE[:2] else 'none'}'" in policy
    assert "access-control-allow-origin" not in headers


def test_nor_is_what_says_that_a_post_is_wrong(shared: Receiver) -> None:
    headers = ask(shared, post(b"no json")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
