"""OpenSSL's command, and what is said when it can't be run."""

import shutil
from pathlib import Path

import pytest

from tools.openssl import OpensslError, openssl

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")


@needs_openssl
def test_it_runs_in_the_folder(tmp_path: Path) -> None:
    openssl("genpkey", "-algorithm", "ED25519", "-out", "a.key", folder=tmp_path)
    shown = openssl("pkey", "-in", tmp_path / "a.key", "-pubout")
    assert shown.startswith("-----BEGIN PUBLIC KEY-----")


@needs_openssl
def test_a_failure_has_the_command_and_its_words(tmp_path: Path) -> None:
    with pytest.raises(OpensslError, match=r"openssl pkey -in none\.key:\n.*none\.key"):
        openssl("pkey", "-in", "none.key", folder=tmp_path)


def test_without_openssl_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OpensslError, match="apt-get install openssl"):
        openssl("version")
