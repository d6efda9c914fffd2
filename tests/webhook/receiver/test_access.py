"""Who may send, and who may read, where there is a keys file."""

import base64
import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawAnswer, RawConnection, post
from webhook.signature import sign

EVENT = b'{"type": "call.new"}'
SHOP, NEW_SHOP, STRANGER = (bytes([number]) * 24 for number in (1, 2, 3))
TOLERANCE = 300


def secret(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


SENDING = f"""
shop {secret(SHOP)}
shop {secret(NEW_SHOP)}
bank basic ana {digest("right")}
gateway bearer {digest("token")}
"""
READING = f"""
people read basic bo {digest("reads")}
grafana read bearer {digest("scrapes")}
"""


def write(path: Path, text: str) -> Path:
    """In one step, as a careful operator does."""
    new = path.with_name("new")
    new.write_text(text)
    new.chmod(0o600)
    return new.replace(path)


def signed(
    identity: str, body: bytes = EVENT, key: bytes = SHOP, late: float = 0, more: str = ""
) -> list[str]:
    moment = str(int(time.time() - late)).encode()
    signature = sign(key, identity.encode(), moment, body).decode()
    return [
        f"Webhook-Id: {identity}",
        f"webhook-timestamp: {moment.decode()}",
        f"webhook-signature: {more}v1,{signature}",
    ]


def send(receiver: Receiver, *headers: str, body: bytes = EVENT) -> RawAnswer:
    with RawConnection(receiver.port) as raw:
        raw.send(post(body, *headers))
        return raw.answer()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("keys") / "keys", SENDING)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Receiver]:
    store = tmp_path_factory.mktemp("access") / "events.db"
    with Receiver(store, keys=keys) as running:
        yield running


# Made by each test in its turn: by then a signature made at the start may be stale.
RIGHT: list[Callable[[], list[str]]] = [
    lambda: [basic("ana", "right")],
    lambda: ["authorization: bearer token"],
    lambda: signed("a"),
    lambda: signed("b.c.d", key=NEW_SHOP),
    lambda: signed("e", more="v1a,abc v1,d3Jvbmc= "),
    lambda: signed("f", late=TOLERANCE - 20),
    lambda: signed("g", late=20 - TOLERANCE),
    lambda: [basic("ana", "wrong"), *signed("h")],
]
WRONG: list[tuple[Callable[[], list[str]], str]] = [
    (list, "missing"),
    (lambda: ["webhook-id: a", "webhook-timestamp: 1"], "missing"),
    (lambda: [basic("ana", "wrong")], "unknown"),
    (lambda: [basic("bo", "right")], "unknown"),
    (lambda: ["Authorization: Bearer right"], "unknown"),
    (lambda: ["Authorization: Digest token"], "unknown"),
    (lambda: ["Authorization: Basic ???"], "unknown"),
    (lambda: signed("a", key=STRANGER), "bad"),
    (lambda: signed("a", body=EVENT + b" "), "bad"),
    (lambda: signed("a")[1:], "bad"),
    (lambda: [*signed("a")[::2], "webhook-timestamp: 1e9"], "bad"),
    (lambda: [*signed("a")[1:], "webhook-id: b"], "bad"),
    (lambda: [*signed("a")[:2], "webhook-signature: v1a,abc"], "bad"),
    (lambda: signed("a", late=TOLERANCE + 20), "stale"),
    (lambda: signed("a", late=-TOLERANCE - 20), "stale"),
]
AT_THE_HEAD = [headers for headers, reason in WRONG if reason in ("missing", "stale", "unknown")]


@pytest.mark.parametrize("headers", RIGHT)
def test_who_has_a_key_may_send(shared: Receiver, headers: Callable[[], list[str]]) -> None:
    before = shared.count()
    assert send(shared, *headers()).json == {"accepted": 1}
    assert shared.count() == before + 1


@pytest.mark.parametrize(("headers", "reason"), WRONG)
def test_who_has_none_is_told_so_and_nothing_is_stored(
    shared: Receiver, headers: Callable[[], list[str]], reason: str
) -> None:
    counter = f'webhook_unauthenticated_total{{reason="{reason}"}}'
    counted, refused = shared.count(), shared.metric(counter)
    answer = send(shared, *headers())
    assert (answer.status, answer.json["stored"]) == (401, "no")
    assert answer.headers["www-authenticate"] == 'Basic realm="events"'
    assert (shared.count(), shared.metric(counter)) == (counted, refused + 1)


@pytest.mark.parametrize("headers", AT_THE_HEAD)
def test_a_stranger_is_refused_before_the_body_comes(
    shared: Receiver, headers: Callable[[], list[str]]
) -> None:
    for more in (["Expect: 100-continue"], []):
        with RawConnection(shared.port) as raw:
            raw.send(post(b"a" * (1 << 20), *headers(), *more)[:500])
            assert raw.answer().status == 401
            assert raw.at_end()


def test_a_signature_is_of_what_was_compressed(shared: Receiver) -> None:
    with RawConnection(shared.port) as raw:
        raw.send(post(gzip.compress(EVENT), "Content-Encoding: gzip", *signed("zip")))
        assert raw.answer().status == 200


def test_what_comes_again_is_answered_and_stored_once(shared: Receiver) -> None:
    before, again = shared.count(), shared.metric("webhook_replays_total")
    body = b"[" + EVENT + b"," + EVENT + b"]"
    for late in (0, 5, 10):
        answer = send(shared, *signed("once", body, late=late), body=body)
        assert answer.json == {"accepted": 2}
    assert shared.count() == before + 2
    assert shared.metric("webhook_replays_total") == again + 2
    assert send(shared, *signed("twice", body), body=body).json == {"accepted": 2}
    assert shared.count() == before + 4


def test_what_comes_again_at_the_same_moment_is_stored_once(shared: Receiver) -> None:
    before = shared.count()
    with RawConnection(shared.port) as raw:
        raw.send(post(EVENT, *signed("pipelined")) * 20)
        assert [raw.answer().json for _ in range(20)] == [{"accepted": 1}] * 20
    assert shared.count() == before + 1


def test_what_was_refused_may_come_again(shared: Receiver) -> None:
    before = shared.count()
    assert send(shared, *signed("broken", b"{"), body=b"{").status == 400
    assert send(shared, *signed("broken")).json == {"accepted": 1}
    assert shared.count() == before + 1


def test_without_a_key_for_reading_everybody_may_read(shared: Receiver) -> None:
    for path in ("/", "/events/count", "/metrics", "/health"):
        assert shared.get(path).status == 200


def test_the_file_is_read_again_when_it_changes(store_path: Path, tmp_path: Path) -> None:
    """1. A key more. 2. A file that is wrong, or gone: as before. 3. A key less."""
    keys = write(tmp_path / "keys", f"shop {secret(SHOP)}")
    with Receiver(store_path, keys=keys) as receiver:
        assert send(receiver, *signed("1", key=NEW_SHOP)).status == 401
        write(keys, f"shop {secret(SHOP)}\nshop {secret(NEW_SHOP)}")
        wait_for(lambda: receiver.log.count("were read again") == 1, "read again")
        assert send(receiver, *signed("2")).status == 200
        assert send(receiver, *signed("3", key=NEW_SHOP)).status == 200
        write(keys, "shop whsec_")
        wait_for(lambda: receiver.log.count("remain valid") == 1, "said")
        assert send(receiver, *signed("4", key=NEW_SHOP)).status == 200
        keys.unlink()
        wait_for(lambda: receiver.log.count("remain valid") == 2, "said")
        assert send(receiver, *signed("5", key=NEW_SHOP)).status == 200
        write(keys, f"shop {secret(NEW_SHOP)}")
        wait_for(lambda: receiver.log.count("were read again") == 2, "read again")
        assert send(receiver, *signed("6")).status == 401
        assert send(receiver, *signed("2", key=NEW_SHOP)).status == 200
        assert receiver.count() == 4
        write(keys, READING)  # no key for sending is left
        wait_for(lambda: receiver.log.count("were read again") == 3, "read again")
        assert send(receiver, *signed("7", key=NEW_SHOP)).status == 401
        assert secret(SHOP)[8:] not in receiver.log


def test_reading_may_need_a_key_of_its_own(store_path: Path, tmp_path: Path) -> None:
    keys = write(tmp_path / "keys", READING)
    closed = ["/", "/page/page.js", "/events/count", "/events/minutes", "/metrics", "/allocations"]

    def read(path: str, *headers: str) -> RawAnswer:
        with RawConnection(receiver.port) as raw:
            lines = [f"GET {path} HTTP/1.1", "Host: test", *headers, "", ""]
            raw.send("\r\n".join(lines).encode())
            return raw.answer()

    with Receiver(store_path, keys=keys, expect_errors=True) as receiver:
        assert send(receiver).status == 200, "there is no key for sending"
        for path in closed:
            for headers in ([], [basic("bo", "wrong")], ["Authorization: Bearer reads"]):
                answer = read(path, *headers)
                assert answer.status == 401
                assert answer.headers["www-authenticate"] == 'Basic realm="events"'
            assert read(path, basic("bo", "reads")).status == 200
            assert read(path, "Authorization: Bearer scrapes").status == 200
        for path in ("/health", "/ready", "/allocation", "/events"):
            assert read(path).status == 200


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (None, 0, "No such file"),
        (SENDING, 0o644, "chmod 600"),
        ("shop", 0o600, "line 1"),
        ("", 0o600, "no key"),
    ],
)
def test_a_wrong_file_ends_the_start(
    store_path: Path, tmp_path: Path, text: str | None, mode: int, words: str
) -> None:
    keys = tmp_path / "keys"
    if text is not None:
        keys.write_text(text)
        keys.chmod(mode)
    receiver = Receiver(store_path, keys=keys).launch()
    assert receiver.wait() == 3
    assert words in receiver.log
    assert f"WEBHOOK_KEYS={keys}" in receiver.log


def test_a_receiver_that_others_reach_says_that_it_is_open(store_path: Path, keys: Path) -> None:
    for given, told in ((keys, False), ("", True)):
        with Receiver(store_path, address="0.0.0.0:0", expect_errors=True, keys=given) as receiver:
            assert ("set WEBHOOK_KEYS" in receiver.log) == told


def test_a_key_is_nowhere_to_be_found(shared: Receiver) -> None:
    send(shared, basic("ana", "right"))
    told = shared.log + json.dumps([shared.get(path).body.decode() for path in ("/metrics", "/")])
    told += Path(f"/proc/{shared.pid}/environ").read_bytes().decode(errors="replace")
    told += Path(f"/proc/{shared.pid}/cmdline").read_text()
    for word in (secret(SHOP)[6:], digest("right"), "YW5hOnJpZ2h0", digest("token")):
        assert word not in told
