"""Signatures as Standard Webhooks 1.0.0 has them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.signature import Claim, is_signed, parse_claim, parse_secret, sign

SECRETS = st.binary(min_size=24, max_size=64)
IDS = st.from_regex(rb"[!-~]{1,256}", fullmatch=True)
TIMESTAMPS = st.integers(0, 10**12 - 1).map(lambda one: b"%d" % one)


def test_the_vector_of_the_specification() -> None:
    secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    identity, timestamp = b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330"
    body, signature = b'{"test": 2432232314}', b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(secret, identity, timestamp, body) == signature
    claim = parse_claim(identity, timestamp, b"v1," + signature)
    assert claim is not None
    assert is_signed(claim, [secret], body)


@given(SECRETS, IDS, TIMESTAMPS, st.binary(max_size=50), st.lists(SECRETS, max_size=2))
def test_what_is_signed_is_found_to_be(
    secret: bytes, identity: bytes, timestamp: bytes, body: bytes, others: list[bytes]
) -> None:
    signature = b"v1," + sign(secret, identity, timestamp, body)
    for sent in (signature, b"v1a,abc  v1,wrong " + signature, signature + b" v2,x"):
        claim = parse_claim(identity, timestamp, sent)
        assert claim is not None
        assert is_signed(claim, [*others, secret], body)
        assert is_signed(claim, others, body) == (secret in others)


@given(SECRETS, IDS, TIMESTAMPS, st.binary(max_size=50), st.data())
def test_what_was_changed_is_not(
    secret: bytes, identity: bytes, timestamp: bytes, body: bytes, data: st.DataObject
) -> None:
    right = (secret, identity, timestamp, body)
    changed = list(right)
    at = data.draw(st.integers(0, 3))
    changed[at] = data.draw((SECRETS, IDS, TIMESTAMPS, st.binary(max_size=50))[at])
    signature = sign(*right)
    claim = Claim(changed[1], changed[2], (signature,))
    same = b".".join(right[1:]) == b".".join(changed[1:]) and changed[0] == secret
    assert is_signed(claim, [changed[0]], changed[3]) == same
    assert not is_signed(Claim(identity, timestamp, (signature[:-1],)), [secret], body)
    assert not is_signed(Claim(identity, timestamp, (b"",)), [secret], body)


@pytest.mark.parametrize(
    ("identity", "timestamp", "signatures"),
    [
        (None, b"1", b"v1,a"),
        (b"a", None, b"v1,a"),
        (b"", b"1", b"v1,a"),
        (b"a b", b"1", b"v1,a"),
        (b"a" * 257, b"1", b"v1,a"),
        (b"a", b"", b"v1,a"),
        (b"a", b"1e9", b"v1,a"),
        (b"a", b"-1", b"v1,a"),
        (b"a", b"+1", b"v1,a"),
        (b"a", b"1.0", b"v1,a"),
        (b"a", b"1_0", b"v1,a"),
        (b"a", "\u0661".encode(), b"v1,a"),
        (b"a", b"1" * 13, b"v1,a"),
        (b"a", b"1", b""),
        (b"a", b"1", b"v1a,a"),
        (b"a", b"1", b"V1,a"),
        (b"a", b"1", b"sha256=a"),
    ],
)
def test_headers_that_say_nothing_of_use(
    identity: bytes | None, timestamp: bytes | None, signatures: bytes
) -> None:
    assert parse_claim(identity, timestamp, signatures) is None


@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=20), st.binary())
def test_whatever_comes_in_the_headers_is_answered(
    identity: bytes | None, timestamp: bytes | None, signatures: bytes
) -> None:
    claim = parse_claim(identity, timestamp, signatures)
    if claim is not None:
        assert claim.seconds >= 0
        assert not is_signed(claim, [b"a" * 24], b"{}")


@given(st.binary(max_size=80))
def test_a_secret_has_24_to_64_bytes(secret: bytes) -> None:
    text = "whsec_" + base64.b64encode(secret).decode()
    if 24 <= len(secret) <= 64:
        assert parse_secret(text) == secret
    else:
        with pytest.raises(ValueError, match="24 to 64 bytes"):
            parse_secret(text)


@given(st.text(max_size=60))
def test_what_is_no_secret_is_said_to_be_none_and_not_repeated(text: str) -> None:
    for one in (text, f"whsec_{text}", f"whsec_{text}="):
        try:
            parse_secret(one)
        except ValueError as error:
            told = str(error)
        else:
            continue
        assert len(text) < 7 or text not in told
