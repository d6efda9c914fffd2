"""Prometheus' rules, against the numbers and words that are elsewhere, too."""

import re

import pytest

from tools.root import ROOT

RULES = {file.stem: file.read_text() for file in (ROOT / "prometheus" / "rules").glob("*.yml")}
ALERTS = sorted({name for text in RULES.values() for name in re.findall(r"alert: (\w+)", text)})
JOB = (ROOT / "nomad" / "webhook.nomad").read_text()


def test_there_are_alerts() -> None:
    assert set(RULES) == {"alerts", "autoscaler", "webhook"}
    assert len(ALERTS) == 9


@pytest.mark.parametrize("alert", ALERTS)
def test_each_has_a_line_in_the_runbook_and_tests(alert: str) -> None:
    assert f"\n| `{alert}` | " in (ROOT / "docs" / "runbook.md").read_text()
    tests = "".join(file.read_text() for file in (ROOT / "prometheus" / "tests").glob("*.yml"))
    assert re.search(rf"alertname: {alert}\n +exp_alerts:\n", tests), "none where it fires"
    faults = (ROOT / "tests" / "cluster" / "test_alerts.py").read_text()
    assert f'"{alert}"' in faults, "none on a cluster"
    assert alert == "AlertsWork" or f"alertname: {alert}, exp_alerts: []" in tests


def test_the_limit_is_the_job_s() -> None:
    (most,) = re.findall(r"^ +max += (\d+)", JOB, re.MULTILINE)
    assert f"webhook:wanted_uncapped > {most})" in RULES["alerts"]


def test_nothing_is_divided_by_what_may_be_0() -> None:
    """Infinity is the smallest number to the autoscaler."""
    for expression in RULES["webhook"].split("expr:")[1:]:
        lines = expression.partition("- record")[0]
        for divisor in re.findall(r"/ (\(?[^#\n]*)", re.sub(r"#.*", "", lines)):
            assert re.match(
                r"\d+|\(0\.6 \* webhook:\w+_each\)|\(2 \* webhook:\w+_each\)|\(.*> 0\)", divisor
            ), divisor
    for name in re.findall(r"record: (webhook:\w+_each)", RULES["webhook"]):
        assert f"{name}\n        expr: clamp_min(" in RULES["webhook"]
