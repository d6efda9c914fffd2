"""A ring that asks for a password, over TLS."""

import subprocess
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.locked_ring import PASSWORDS, LockedRing

pytestmark = pytest.mark.usefixtures("no_shared_ring")


def test_a_user_who_may_not_write_is_not_ready(tmp_path: Path) -> None:
    with LockedRing(tmp_path / "ring", settings=PASSWORDS) as ring:
        ring.apply_schema("locked")
        ring.administer(
            "CREATE ROLE IF NOT EXISTS reader WITH PASSWORD = 'r' AND LOGIN = true",
            "GRANT SELECT ON KEYSPACE locked TO reader",
        )
        with Receiver(f"cassandra://reader:r@{ring.hosts[0]}/locked") as receiver:
            wait_for(lambda: "connected to the ring" in receiver.log, "connected", 30)
            answer = receiver.get("/ready")
            assert answer.status == 503
            assert "no MODIFY permission" in answer.json["detail"]
            assert receiver.post().json["stored"] == "no"
            assert receiver.get("/events/count").status == 200


def test_password_and_tls(tmp_path: Path) -> None:
    key_store, certificate = tmp_path / "node.p12", tmp_path / "ca.pem"
    keytool = ["keytool", "-keystore", str(key_store), "-storepass", "changeit", "-alias", "node"]
    names = ["-dname", "CN=node-1", "-ext", "san=ip:192.168.56.11"]
    make = [*keytool, "-genkeypair", "-keyalg", "EC", *names, "-validity", "2"]
    subprocess.run(make, check=True, capture_output=True)
    export = [*keytool, "-exportcert", "-rfc", "-file", str(certificate)]
    subprocess.run(export, check=True, capture_output=True)
    settings = {
        "authenticator": "PasswordAuthenticator",
        "client_encryption_options.enabled": "true",
        "client_encryption_options.optional": "true",  # the test itself comes without
        "client_encryption_options.keystore": str(key_store),
        "client_encryption_options.keystore_password": "changeit",
    }
    with LockedRing(tmp_path / "ring", settings=settings) as ring:
        ring.apply_schema("locked")
        place = f"{ring.hosts[0]}/locked?tls_ca={certificate}"
        with Receiver(f"cassandra://cassandra:wrong@{place}", expect_errors=True) as stranger:
            assert not stranger.ready()
            assert "wrong@" not in stranger.log
        with Receiver(f"cassandra://cassandra:cassandra@{place}") as receiver:
            wait_for(receiver.ready, "ready", 30)
            receiver.post_many(10)
            assert receiver.count() == 10
        with Receiver(f"cassandra://{place.partition('?')[0]}", expect_errors=True) as nobody:
            assert not nobody.ready()
