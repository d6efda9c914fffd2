"""Connections: reused under --keep-alive, spread over URLs, secured by TLS."""

import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.tgibf.generator import tgibf
from tests.tgibf.peer import Call, Peer, acknowledge


def test_keep_alive_takes_idle_connections_again() -> None:
    with Peer() as peer:
        run = tgibf(
            peer.url, "--keep-alive", "--burst-size=10", "--bursts=3", "--pause=0.1", "--json"
        )

    assert run.code == 0
    assert len(peer.calls) == 60
    assert peer.connections <= 30
    assert "connection:" not in peer.calls[0].head.lower()


def test_a_connection_that_the_receiver_wants_closed_is_not_taken_again() -> None:
    async def answer_and_close(call: Call) -> None:
        await call.answer(headers="Connection: close\r\n")
        call.hang_up()

    with Peer(answer_and_close) as peer:
        run = tgibf(peer.url, "--keep-alive", "--burst-size=2", "--bursts=3", "--pause=0", "--json")

    assert run.code == 0
    assert peer.connections == len(peer.calls) == 12


def test_an_idle_connection_that_was_closed_is_left_alone() -> None:
    async def answer_and_close_silently(call: Call) -> None:
        await call.answer()
        call.hang_up()

    with Peer(answer_and_close_silently) as peer:
        run = tgibf(
            peer.url, "--keep-alive", "--burst-size=1", "--bursts=3", "--pause=0.3", "--json"
        )

    assert run.code == 0
    assert peer.connections == 6


def test_a_reused_connection_that_closes_without_an_answer_leaves_the_outcome_unknown() -> None:
    async def answer_only_the_first(call: Call) -> None:
        if call.number_on_connection == 1:
            await call.answer()
        else:
            call.hang_up()

    with Peer(answer_only_the_first) as peer:
        run = tgibf(peer.url, "--keep-alive", "--rate=5", "--seconds=0.4", "--json")

    assert run.code == 1
    assert run.summary["acked"] == 1
    assert run.summary["unknown"] == 1
    assert run.summary["errors"] == {"reused connection closed": 1}
    assert len(peer.calls) == 2, "nothing is sent twice"


def test_two_answers_to_one_request_do_not_acknowledge_two_events() -> None:
    async def answer_twice_to_the_first(call: Call) -> None:
        if call.number == 1:
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2)
        else:
            await call.answer(503)

    with Peer(answer_twice_to_the_first) as peer:
        run = tgibf(peer.url, "--keep-alive", "--rate=5", "--seconds=0.4", "--json")

    assert run.summary["acked"] == 1
    assert run.summary["errors"] == {"http 503": 1}


def test_several_urls_take_turns() -> None:
    with Peer() as one, Peer() as other:
        run = tgibf(one.url, f"{other.url}/hook?a=b", "--burst-size=40", "--bursts=1", "--json")

    assert run.code == 0
    assert run.summary["urls"] == [f"{one.url}/events", f"{other.url}/hook?a=b"]
    assert len(one.calls) == len(other.calls) == 20
    assert one.calls[0].head.startswith("POST /events HTTP/1.1\r\n")
    assert other.calls[0].head.startswith("POST /hook?a=b HTTP/1.1\r\n")


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_hosts_other_than_ipv4_addresses(host: str) -> None:
    try:
        socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ).close()
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    with Peer(host=host) as peer:
        run = tgibf(peer.url, "--burst-size=2", "--bursts=1")

    assert run.code == 0, run.out
    assert f"Host: {peer.url.removeprefix('http://')}\r\n" in peer.calls[0].head


def test_urls_come_from_the_environment_if_no_argument_names_them() -> None:
    with Peer() as one, Peer() as other:
        run = tgibf("--burst-size=2", "--bursts=1", WEBHOOK=f"{one.url}/ {other.url}")

    assert run.code == 0
    assert len(one.calls) == len(other.calls) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("options", [[], ["--keep-alive"], ["--batch=1000"]])
def test_https(certificate: Path, options: list[str]) -> None:
    with Peer(acknowledge, tls=tls_of(certificate)) as peer:
        run = tgibf(
            *(peer.url, "--burst-size=20", "--bursts=2", "--pause=0.1", "--json", *options),
            SSL_CERT_FILE=str(certificate.with_suffix(".crt")),
        )

    assert run.code == 0, run.out
    assert run.summary["acked"] == 60


def test_https_refuses_a_certificate_that_nobody_vouches_for(certificate: Path) -> None:
    with Peer(acknowledge, tls=tls_of(certificate)) as peer:
        run = tgibf(peer.url, "--burst-size=1", "--bursts=1", "--json")

    assert run.code == 1
    assert run.summary["refused"] == 1
    assert run.summary["errors"] == {"tls: certificate not trusted": 1}
