"""`cassandra://` URLs."""

import pytest

from webhook.store import StartError
from webhook.store.cassandra.url import RingSettings


def test_hosts_and_keyspace() -> None:
    settings = RingSettings.from_url("cassandra://node-1,node-2,node-3/teracompra")
    assert settings.hosts == ("node-1", "node-2", "node-3")
    assert (settings.keyspace, settings.port) == ("teracompra", 9042)
    assert (settings.consistency, settings.user, settings.tls()) == ("QUORUM", None, None)


def test_everything_given() -> None:
    settings = RingSettings.from_url(
        "cassandra://us%40er:p%2Fw%3A@10.0.0.1,10.0.0.2:9142/ks?consistency=local_quorum&lanes=4"
        "&tls_ca=/ca.pem&tls_cert=/cert.pem&tls_key=/key.pem"
    )
    assert (settings.user, settings.password, settings.port) == ("us@er", "p/w:", 9142)
    assert (settings.consistency, settings.lanes) == ("LOCAL_QUORUM", 4)
    assert (settings.tls_ca, settings.tls_cert) == ("/ca.pem", "/cert.pem")
    assert "p/w:" not in repr(settings)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("/ks", "cassandra://host1"),
        ("host", "cassandra://host1"),
        ("host/two/parts", "cassandra://host1"),
        ("host:port/ks", "cassandra://host1"),
        ("host/ks?consistency=ONE", "consistency=QUORUM"),
        ("host/ks?lanes=0", "lanes=1..16"),
        ("host/ks?lane=1", "lanes=1..16"),
        ("host/ks?login=/login", "one of them"),
        ("host/ks?tls_cert=/cert.pem", "need tls_ca"),
    ],
)
def test_a_bad_url_says_what_is_right_and_shows_no_password(rest: str, words: str) -> None:
    with pytest.raises(StartError) as caught:
        RingSettings.from_url(f"cassandra://me:secret@{rest}")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_tls_files_that_are_not_there() -> None:
    settings = RingSettings.from_url("cassandra://host/ks?tls_ca=/nowhere/ca.pem")
    with pytest.raises(StartError, match="TLS files"):
        settings.tls()
