"""HTTPS by the receiver itself."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from harness.certificates import Files, make
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.raw_http import RawConnection, post
from tests.support.rows import rows
from webhook.allocations import Allocations, Catalog, Instance, ThisAllocation
from webhook.certificate import Certificate

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
pytestmark = needs_openssl

EVENT = b'{"type": "call.new"}'
GET = b"GET /events/count HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b'{"type": "' + b"a" * 900_000 + b'"}'


class Secure(RawConnection):
    """Over TLS."""

    def __init__(self, receiver: Receiver, context: ssl.SSLContext) -> None:
        super().__init__(receiver.port)
        self._input.close()
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._input = self.socket.makefile("rb")

    @property
    def tls(self) -> ssl.SSLSocket:
        assert isinstance(self.socket, ssl.SSLSocket)
        return self.socket


class SecureReceiver(Receiver):
    """Tests look at the store: its figures can't be had without TLS."""

    def _assert_well(self) -> None:
        pass


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def receiver(store_path: Path, files: Files) -> Iterator[Receiver]:
    with secure(store_path, files, request_seconds=2) as running:
        yield running


def secure(store: Path, files: Files, **settings: Any) -> Receiver:
    return SecureReceiver(store, tls_cert=files.chain, tls_key=files.key, **settings)


def metric(receiver: Receiver, files: Files, name: str) -> float:
    with Secure(receiver, files.client()) as raw:
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lines = raw.answer().body.decode().splitlines()
    return float(next(one for one in lines if one.startswith(f"{name} ")).split()[-1])


def test_requests_of_every_size_are_answered_in_order(
    receiver: Receiver, files: Files, store_path: Path
) -> None:
    with Secure(receiver, files.client()) as raw:
        assert raw.tls.version() == "TLSv1.3"
        for request in (post(EVENT), post(LARGE), post(EVENT) * 1000, post(EVENT, path="/webhook")):
            raw.send(request)
            for _ in range(request.count(b"POST ")):
                assert raw.answer().status == 200
        raw.send(GET + post(b"no"))
        assert raw.answer().json["count"] == 1003
        assert raw.answer().status == 400
        raw.send(post(EVENT, "Connection: close"))
        assert raw.answer().headers["connection"] == "close"
        assert raw.at_end(), "in order: else there is an SSLEOFError"
    assert rows(store_path) == 1004
    assert f"listening on https://127.0.0.1:{receiver.port}" in receiver.log


def test_more_requests_than_there_is_room_for_are_all_answered(
    receiver: Receiver, files: Files
) -> None:
    """What TLS holds of them is not told by the kernel."""
    page = b"GET /page/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Secure(receiver, files.client()) as raw:
        raw.send(page * 300)
        time.sleep(0.5)
        assert [raw.answer().status for _ in range(300)] == [200] * 300


def test_only_http_1_1_is_agreed_on(receiver: Receiver, files: Files) -> None:
    ours = "http/1.1"
    for offered, chosen in ((["h2", ours], ours), ([ours], ours), (["h2"], None), ([], None)):
        context = files.client()
        if offered:
            context.set_alpn_protocols(offered)
        with Secure(receiver, context) as raw:
            assert raw.tls.selected_alpn_protocol() == chosen
            raw.send(post(EVENT))
            assert raw.answer().status == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_that_would_rather_speak_http_2(receiver: Receiver, files: Files) -> None:
    url = f"https://localhost:{receiver.port}/events"
    command = ["curl", "-s", "--http2", "--cacert", str(files.chain), url, "-d", EVENT.decode()]
    done = subprocess.run(command, capture_output=True, timeout=20, check=True)
    assert done.stdout == b'{"accepted": 1}'


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_an_old_version_is_not_spoken(receiver: Receiver, files: Files) -> None:
    context = files.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Secure(receiver, context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Secure(receiver, context) as raw:
        raw.send(post(EVENT))
        assert raw.answer().status == 200


def test_who_speaks_no_tls_is_closed_and_counted(receiver: Receiver, files: Files) -> None:
    for said in (post(EVENT), b"\x16\x03\x01\x00\x05hello", b"\0" * 1000):
        with RawConnection(receiver.port) as raw:
            raw.send(said)
            with pytest.raises((ConnectionError, EOFError, ValueError)):
                assert raw.answer().status >= 400
    assert metric(receiver, files, "webhook_failed_handshakes_total") == 3


def test_handshakes_that_do_not_end_are_ended(receiver: Receiver, files: Files) -> None:
    """A thousand of them, and an honest client beside."""
    hello = ssl.MemoryBIO()
    begun = files.client().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        begun.do_handshake()
    data = hello.read()
    with ExitStack() as stack:
        slow = [stack.enter_context(RawConnection(receiver.port)) for _ in range(1000)]
        for number, one in enumerate(slow):
            one.send(data[: number % len(data)])
        began = time.monotonic()
        with Secure(receiver, files.client()) as raw:
            raw.send(post(EVENT))
            assert raw.answer().status == 200
        assert time.monotonic() - began < 1
        wait_for(
            lambda: metric(receiver, files, "webhook_open_connections") == 1, "none is left", 10
        )


def test_a_client_that_goes_in_the_middle_harms_nobody(receiver: Receiver, files: Files) -> None:
    for cut in (0, 1, 50, 400_000):
        with Secure(receiver, files.client()) as raw:
            raw.send(post(LARGE)[:cut])
            raw.tls.shutdown(socket.SHUT_RDWR)
    with Secure(receiver, files.client()) as raw:
        raw.send(post(EVENT))
        assert raw.answer().status == 200


def test_a_renewed_certificate_is_shown_without_a_restart(store_path: Path, tmp_path: Path) -> None:
    """1. Renewed under a connection. 2. A key that does not fit: as before. 3. Mended."""
    files, other = make(tmp_path, "edge"), make(tmp_path, "other")
    before, after = files.client(), other.client()
    with secure(store_path, files, connection_age_seconds=600) as receiver:
        with Secure(receiver, before) as kept:
            files.replace(other)
            wait_for(lambda: "was read again" in receiver.log, "read again")
            kept.send(post(EVENT))
            assert kept.answer().status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            Secure(receiver, before)
        make(tmp_path, "third").key.replace(files.key)
        wait_for(lambda: "was read before remains" in receiver.log, "said")
        with Secure(receiver, after) as raw:
            raw.send(post(EVENT))
            assert raw.answer().status == 200
        (tmp_path / "third.pem").replace(files.chain)
        wait_for(lambda: receiver.log.count("was read again") == 2, "read again")
        with Secure(receiver, files.client()) as raw:
            raw.send(post(EVENT))
            assert raw.answer().status == 200
    assert rows(store_path) == 3


def test_a_drain_ends_in_order(store_path: Path, files: Files) -> None:
    with secure(store_path, files) as receiver, Secure(receiver, files.client()) as raw:
        raw.send(post(EVENT))
        assert raw.answer().status == 200
        receiver.terminate()
        wait_for(lambda: "draining" in receiver.log, "a drain")
        raw.send(post(EVENT))
        assert raw.answer().headers["connection"] == "close"
        assert raw.at_end()


class OneInstance:
    """Consul's catalog with one receiver in it."""

    def __init__(self, port: int) -> None:
        shown: dict[str, Any] = {"Node": {"Node": "a", "Address": "127.0.0.1"}}
        shown["Service"] = {"Address": "127.0.0.1", "Port": port, "ID": "webhook"}
        self._instance = msgspec.convert(shown, Instance)

    async def alive(self) -> list[Instance]:
        return [self._instance]

    def close(self) -> None:
        pass


def test_receivers_ask_each_other_over_tls(
    receiver: Receiver, files: Files, tmp_path: Path
) -> None:
    """Whom another certificate would answer is not asked."""
    itself = ThisAllocation("this", "node", "127.0.0.1:1", 0.0)
    catalog = cast("Catalog", OneInstance(receiver.port))

    async def rate(own: Files) -> float | None:
        certificate = Certificate(own.chain, own.key)
        allocations = Allocations(catalog, lambda: itself, lambda: certificate.peers)
        (row,) = (await allocations.read()).allocations or []
        await allocations.close()
        return row.events_per_second

    assert asyncio.run(rate(files)) == 0.0
    assert asyncio.run(rate(make(tmp_path))) is None


@pytest.mark.parametrize("harm", ["no key", "another key", "readable", "with a password"])
def test_a_wrong_certificate_ends_the_start(store_path: Path, tmp_path: Path, harm: str) -> None:
    files = make(tmp_path)
    words = "no certificate with its key"
    if harm == "no key":
        files.key.unlink()
    elif harm == "another key":
        make(tmp_path, "other").key.replace(files.key)
    elif harm == "readable":
        files.key.chmod(0o644)
        words = "chmod o="
    else:
        command = ["openssl", "ec", "-in", str(files.key), "-out", f"{tmp_path}/locked", "-aes256"]
        subprocess.run([*command, "-passout", "pass:abcd"], check=True, capture_output=True)
        (tmp_path / "locked").replace(files.key)
    receiver = secure(store_path, files).launch()
    assert receiver.wait() == 3
    assert words in receiver.log
    assert str(files.key) in receiver.log
