"""Which files are checked, and by what: found, and not listed by hand."""

from pathlib import Path

import pytest

from commands.hcl import main as parse_hcl
from commands.lint import (
    having,
    is_dockerfile,
    is_hcl,
    is_kustomization,
    is_rules,
    is_shell,
    is_test_of_rules,
    is_yaml,
    repository_files,
)


def test_each_kind_of_file_is_found() -> None:
    files = repository_files()
    assert {".ci/run", "node/provision"} <= set(having(files, is_shell))
    assert {"webhook/Dockerfile", "tgibf/Dockerfile"} <= set(having(files, is_dockerfile))
    assert {"nomad/webhook.nomad", "consul/consul.hcl"} <= set(having(files, is_hcl))
    assert "compose.yaml" in having(files, is_yaml)
    assert "kubernetes/base/kustomization.yaml" in having(files, is_kustomization)
    assert "prometheus/rules/alerts.yml" in having(files, is_rules)
    assert "prometheus/tests/alerts.yml" in having(files, is_test_of_rules)
    assert not any(".venv" in path.parts for path in files)


def test_a_job_that_can_not_be_parsed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = tmp_path / "right.nomad", tmp_path / "wrong.nomad"
    right.write_text('job "x" {\n  type = "service"\n}\n')
    wrong.write_text('job "x" {\n')
    assert parse_hcl([str(right)]) == 0
    assert parse_hcl([str(right), str(wrong)]) == 1
    assert str(wrong) in capsys.readouterr().err
