"""The signals: Prometheus' rules, changed in one place, and only if they are what they were."""

import re

import pytest

from bench.sizing.signals import BY_NAME, PROPOSED, SIGNALS, RulesError, Signal, rules_for
from tools.root import ROOT

TEXT = (ROOT / "prometheus" / "rules" / "webhook.yml").read_text()


def records(text: str) -> list[tuple[str, str]]:
    """Each rule: its name, and all that is said of it, with the comment before the next one."""
    return [(rule.partition("\n")[0], rule) for rule in text.split("      - record: ")[1:]]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda one: one.name)
def test_only_the_reasons_differ(signal: Signal) -> None:
    changed, before = (
        [one for one in records(text) if one[0] != "webhook:wanted_for"]
        for text in (rules_for(TEXT, signal, 0.05, 600), TEXT)
    )
    assert changed == before


def test_each_has_its_own_reason() -> None:
    reasons = {
        name: re.findall(r"labels: \{reason: '?(\w+)'?\}", rules_for(TEXT, one, 0.05, 600))
        for name, one in BY_NAME.items()
    }
    assert reasons == {
        "mean": ["mean"],
        "cpu": ["cpu"],
        "held": ["held"],
        "503s": ["503s"],
        "peak": ["mean", "burst", "queue"],
        "floor": ["mean", "burst", "queue"],
    }


def test_cpu_goes_by_what_one_uses_and_never_divides_by_nothing() -> None:
    assert "/ (0.6 * 0.043000)" in rules_for(TEXT, BY_NAME["cpu"], 0.043, 600)
    assert "/ (0.6 * 0.000100)" in rules_for(TEXT, BY_NAME["cpu"], 0.0, 600)


def test_the_look_back_has_as_much_history_as_before() -> None:
    shorter = rules_for(TEXT, PROPOSED, 0, 60)
    assert "max_over_time(webhook:wanted_now[60s])" in shorter
    assert "count_over_time(webhook:wanted_now[60s]) < 10)" in shorter
    assert "wanted_now[10m]" not in shorter
    assert rules_for(TEXT, PROPOSED, 0, 600) == TEXT


@pytest.mark.parametrize(
    ("words", "others", "message"),
    [
        ("reason: queue", "reason: depth", "has not the reasons"),
        ("< 108)", "< 54)", "the look back is not"),
    ],
)
def test_rules_that_are_others_now_are_refused(words: str, others: str, message: str) -> None:
    assert words in TEXT
    with pytest.raises(RulesError, match=message):
        rules_for(TEXT.replace(words, others), PROPOSED, 0, 60)
