"""The key that a webhook wants to see."""

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checked_receiver import Receiver
from tests.tgibf.generator import tgibf
from tgibf.key import KeyFileError, parse_key, signing_key
from tgibf.ledger import read_ledger
from webhook.signature import Claim, is_signed

WORD = "whsec_" + base64.b64encode(b"a" * 24).decode()
DIGEST = hashlib.sha256(b"token").hexdigest()


def write(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def headers(lines: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b": ", 1) for line in lines.splitlines())


def test_the_vector_of_the_specification() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    key = signing_key(secret, lambda: 1614265330.9)
    assert headers(key("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')) == {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=24, max_size=64), st.from_regex(r"[!-~]{1,40}", fullmatch=True))
def test_what_it_signs_the_receiver_takes(secret: bytes, identity: str) -> None:
    key = parse_key(f"# mine\n\nwhsec_{base64.b64encode(secret).decode()}  # till May\n")
    found = headers(key(identity, b"{}"))
    signature = found[b"webhook-signature"].removeprefix(b"v1,")
    claim = Claim(found[b"webhook-id"], found[b"webhook-timestamp"], (signature,))
    assert is_signed(claim, [secret], b"{}")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (WORD, f"shop {WORD}"),
        ("basic ana token", f"shop basic ana {DIGEST}"),
        ("bearer token", f"shop bearer {DIGEST}"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--batch=10",), ("--keep-alive",)])
def test_with_a_key_every_event_is_taken(
    tmp_path: Path, store_path: Path, key: str, line: str, options: tuple[str, ...]
) -> None:
    file, keys = write(tmp_path / "key", key), write(tmp_path / "keys", line)
    plan = ("--burst-size=30", "--bursts=2", "--pause=0", *options)
    with Receiver(store_path, keys=keys) as receiver:
        assert tgibf(receiver.url, *plan, f"--key-file={file}").code == 0
        ledger = tmp_path / "ledger"
        assert tgibf(receiver.url, *plan, f"--key-file={file}", f"--ledger={ledger}").code == 0
        assert receiver.count() == 180
        assert len(read_ledger(ledger).outcomes) == 90
        assert receiver.metric("webhook_replays_total") == 0


def test_without_one_every_event_is_refused(tmp_path: Path, store_path: Path) -> None:
    keys = write(tmp_path / "keys", f"shop {WORD}")
    with Receiver(store_path, keys=keys) as receiver:
        run = tgibf(receiver.url, "--burst-size=30", "--bursts=1", "--json")
        assert run.code == 1
        assert receiver.count() == 0
        assert receiver.metric('webhook_unauthenticated_total{reason="missing"}') == 30


@pytest.mark.parametrize(
    "text",
    ["", "#", f"{WORD}\n{WORD}", "whsec_", "whsec_secret!", "basic secret", "basic a:b secret",
     "bearer", "secret", "bearer sécret", f"shop {WORD}", "whsec_c2VjcmV0"],
)  # fmt: skip
def test_what_is_no_key_is_said_to_be_none_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_key(text)
    assert "secret" not in str(caught.value).replace("signing secret", "")
    run = tgibf("http://127.0.0.1:1", f"--key-file={write(tmp_path / 'key', text)}")
    assert run.code == 2
    assert "--key-file" in run.err


def test_a_file_that_others_may_use_is_not_used(tmp_path: Path) -> None:
    key = write(tmp_path / "key", WORD)
    for mode, words in ((0o644, "chmod 600"), (0o640, "chmod 600")):
        key.chmod(mode)
        run = tgibf("http://127.0.0.1:1", f"--key-file={key}")
        assert (run.code, words in run.err) == (2, True)
    run = tgibf("http://127.0.0.1:1", f"--key-file={tmp_path / 'none'}")
    assert (run.code, "can't be read" in run.err) == (2, True)
