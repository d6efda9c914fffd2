"""The file with the user and the password for a ring."""

from pathlib import Path

import pytest
from cassandra import AuthenticationFailed

from webhook.store.cassandra.login import FileLogin, LoginError, read_login
from webhook.store.cassandra.ring import Ring
from webhook.store.cassandra.url import RingSettings
from webhook.store.contract import StartError


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def test_each_log_in_has_the_password_that_is_there_then(tmp_path: Path) -> None:
    file = write(tmp_path / "login", "webhook first\n")
    login = FileLogin(file)
    assert log_in(login) == ("webhook", "first")
    write(file, "webhook two words \n")
    assert log_in(login) == ("webhook", "two words ")
    file.unlink()
    with pytest.raises(AuthenticationFailed, match="No such file"):
        log_in(login)


def log_in(login: FileLogin) -> tuple[str, str]:
    authenticator = login.new_authenticator("127.0.0.1")
    assert authenticator is not None
    return authenticator.username, authenticator.password


@pytest.mark.parametrize(
    "text", ["\n", "webhook", "webhook ", " secret", "webhook secret\nand more"]
)
def test_what_is_no_login_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(LoginError, match="one line: USER PASSWORD") as caught:
        read_login(write(tmp_path / "login", text))
    assert "secret" not in str(caught.value)


def test_an_empty_file_is_for_a_ring_that_asks_nobody(tmp_path: Path) -> None:
    file = write(tmp_path / "login", "")
    assert read_login(file) is None
    assert FileLogin(file).new_authenticator("127.0.0.1") is None


def test_no_text_at_all(tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(LoginError, match="UTF-8"):
        read_login(file)


def test_a_receiver_does_not_start_without_the_file(tmp_path: Path) -> None:
    settings = RingSettings.from_url(f"cassandra://host/ks?login={tmp_path}/login")
    with pytest.raises(StartError, match="No such file"):
        Ring(settings).check()
