"""scripts/lock where nothing can be fetched."""

import pytest

from tests.support.scripts import script


def test_without_an_index_it_has_one_line_with_what_pip_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    ended = script("lock")
    assert ended.returncode == 1
    _, said = ended.stderr.splitlines()
    assert said.startswith("error: uv==")
    assert "No matching distribution found" in said
