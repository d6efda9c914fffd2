"""What a report tells of the machine and the sources."""

from pathlib import Path

import pytest

from loadtest import facts


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts.commit() == ""


def test_a_fact_that_cannot_be_had_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "PORTS", tmp_path / "none")
    warnings: list[str] = []
    found = facts.machine(warnings)
    assert "cores" in found
    assert "client ports" not in found
    (warning,) = warnings
    assert warning.startswith("the report does not tell client ports: FileNotFoundError")
