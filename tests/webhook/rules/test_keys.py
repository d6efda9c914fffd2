"""The keys file, and what a header proves."""

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.root import ROOT
from webhook.keys import MOST_KEYS, Keys, KeysError, parse_authorization, parse_keys, read_keys

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WORD = hashlib.sha256(b"secret").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
OWNERS = st.from_regex(r"[A-Za-z0-9_.@-]{1,64}", fullmatch=True)
USERS = st.from_regex(r"[!-9;-~]{1,20}", fullmatch=True).filter(lambda one: "#" not in one)
PASSWORDS = st.binary(min_size=2, max_size=30)


def digest(password: bytes) -> str:
    return hashlib.sha256(password).hexdigest()


def test_each_kind_of_line() -> None:
    keys = parse_keys(
        f"""
        # who sends
        shop {SECRET}   # the old one
        shop whsec_{base64.b64encode(b"b" * 24).decode()}
        shop basic ana {WORD}
        gateway\tbearer {WORD.upper()}

        grafana read bearer {OTHER}
        people read basic bo {WORD}
        """
    )
    word, other = bytes.fromhex(WORD), bytes.fromhex(OTHER)
    assert [*keys.signing] == ["shop"]
    assert len(keys.signing["shop"]) == 2
    assert keys.sending == {(b"ana", word), (b"", word)}
    assert keys.reading == {(b"", other), (b"bo", word)}
    assert keys.for_sending
    assert not parse_keys(f"a read bearer {WORD}").for_sending


def test_the_file_of_the_documents() -> None:
    text = (ROOT / "docs/security.md").read_text().split("```")[1]
    for word, value in (("whsec_BASE64", SECRET), ("SHA256", WORD)):
        assert word in text
        text = text.replace(word, value)
    keys = parse_keys(text)
    assert (len(keys.signing), len(keys.sending), len(keys.reading)) == (1, 2, 2)


@given(st.lists(st.tuples(OWNERS, USERS, PASSWORDS, st.booleans()), min_size=1, max_size=20))
def test_who_knows_a_password_is_let_in_and_nobody_else(
    lines: list[tuple[str, str, bytes, bool]],
) -> None:
    text = "\n".join(
        f"{owner} {'read ' * reads}basic {user} {digest(password)}"
        for owner, user, password, reads in lines
    )
    keys = parse_keys(text)
    right = {(user, password, reads) for _, user, password, reads in lines}
    for _, user, password, _ in lines:
        for tried in (password, password + b"x", password[:-1]):
            header = b"Basic " + base64.b64encode(user.encode() + b":" + tried)
            found = parse_authorization(header)
            assert (found in keys.sending) == ((user, tried, False) in right)
            assert (found in keys.reading) == ((user, tried, True) in right)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no key"),
        ("# nothing\n\n", "no key"),
        ("shop", "line 1"),
        (f"\nshop {SECRET} more", "line 2"),
        (f"{SECRET}", "line 1"),
        ("shop whsec_", "24 to 64"),
        ("shop whsec_abc", "base64"),
        ("shop whsec_" + "A" * 20, "24 to 64"),
        (f"shop read {SECRET}", "line 1"),
        ("shop bearer", "line 1"),
        ("shop bearer secret", "64 hexadecimal"),
        (f"shop bearer ana {WORD}", "line 1"),
        (f"shop basic {WORD}", "line 1"),
        (f"shop basic ana {WORD[1:]}", "64 hexadecimal"),
        (f"shop basic a:b {WORD}", "colon"),
        (f"shop digest ana {WORD}", "line 1"),
        (f"shop bearer {hashlib.sha256(b'').hexdigest()}", "of nothing"),
        (f"shop bearer {hashlib.sha256(bytes([10])).hexdigest()}", "of nothing"),
        (f"shöp bearer {WORD}", "begins with a name"),
        ("\n".join([f"a bearer {WORD}"] * (MOST_KEYS + 1)), "at most 100"),
    ],
)
def test_a_wrong_line_is_named_and_not_repeated(text: str, words: str) -> None:
    with pytest.raises(KeysError) as caught:
        parse_keys(text)
    assert words in str(caught.value)
    for secret in (SECRET[6:], WORD):
        assert secret not in str(caught.value)


@given(st.text(max_size=100) | st.sampled_from([f"a bearer {WORD}", f"a {SECRET}"]))
def test_whatever_is_in_the_file_is_keys_or_an_error(text: str) -> None:
    try:
        keys = parse_keys(text)
    except KeysError:
        return
    assert keys != Keys()


@given(st.binary(max_size=60))
def test_whatever_is_in_the_header_proves_something_or_nothing(value: bytes) -> None:
    for header in (value, b"Basic " + value, b"Bearer " + value, b"basic" + value):
        found = parse_authorization(header)
        assert found is None or len(found[1]) == 32


def test_the_scheme_may_be_written_in_any_case() -> None:
    word = bytes.fromhex(WORD)
    assert parse_authorization(b"BEARER  secret ") == (b"", word)
    assert parse_authorization(b"basic " + base64.b64encode(b"ana:secret")) == (b"ana", word)
    assert parse_authorization(b"Digest secret") is None


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o602])
def test_a_file_that_others_may_use_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    path.write_text(f"a bearer {WORD}")
    path.chmod(mode)
    with pytest.raises(KeysError, match="chmod 600"):
        read_keys(path)
    path.chmod(0o400)
    assert read_keys(path).for_sending


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="No such file"):
        read_keys(tmp_path / "keys")
    for data, words in ((b"\xff", "UTF-8"), (b"#" * (1 << 17), "more than")):
        (tmp_path / "keys").write_bytes(data)
        (tmp_path / "keys").chmod(0o600)
        with pytest.raises(KeysError, match=words):
            read_keys(tmp_path / "keys")
