"""What the count may follow: Prometheus' own rules with another reason to want allocations. Pure.

All else stays: the look back, the room, one more than are needed, who does not report. So what is
compared is the signal alone.
"""

import re
from dataclasses import dataclass

LOOK_BACK_SECONDS = 600
"""That of prometheus/rules/webhook.yml."""
EVALUATION_SECONDS = 5
KNOWN_PART = 0.9
"""Of the look back: with less history the count does not fall."""

_REASON = re.compile(
    r"      - record: webhook:wanted_for\n        labels: \{reason: (\w+)\}\n        expr: (.+)\n"
)
_EACH = "webhook:events_per_second_each"


class RulesError(ValueError):
    """The rules are not what this was written for; the message says where."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One of those compared."""

    name: str
    meaning: str
    reasons: tuple[str, ...] = ()
    """Those of the rules' own reasons that it keeps; all if there is no `expression` either."""
    expression: str = ""
    """Its own reason; `{cpu}` is what one allocation uses at its limit, in cores."""
    floor: bool = False
    """Whether the calendar has as many as there can be from the beginning."""


_REFUSED = 'sum(rate(webhook_events_total{{outcome!="stored"}}[5s]))'
SIGNALS = (
    Signal("mean", "events/s offered, mean of 15 s", ("mean",)),
    Signal(
        "cpu",
        "CPU of the allocations, mean of 15 s, at 60 % of what one uses at its limit",
        expression='sum(rate(process_cpu_seconds_total{{job="webhook"}}[15s])) / (0.6 * {cpu:.6f})',
    ),
    Signal(
        "held",
        "most held events, at 60 % of what one takes within a second (a limit leaves no more)",
        expression=f"sum(webhook_most_held_events) / (0.6 * {_EACH})",
    ),
    Signal(
        "503s",
        "events refused: as many more as would take them",
        # One fewer than there are, as the rules add one.
        expression=f"((webhook:reporting - 1 + {_REFUSED} / {_EACH}) and {_REFUSED} > 0) "
        "or webhook:reporting * 0",
    ),
    Signal("peak", "the busiest second and the mean: prometheus/rules as they are"),
    Signal("floor", "the same, and the calendar's floor", floor=True),
)
BY_NAME = {signal.name: signal for signal in SIGNALS}
PROPOSED, WITH_FLOOR = BY_NAME["peak"], BY_NAME["floor"]


def rules_for(text: str, signal: Signal, cpu_each: float, look_back_seconds: int) -> str:
    """The rules of prometheus/rules/webhook.yml with this signal. Raises RulesError.

    `cpu_each` is what one allocation uses at its limit, in cores.
    """
    found = list(_REASON.finditer(text))
    if {one[1] for one in found} != {"mean", "burst", "queue"}:
        raise RulesError("webhook:wanted_for has not the reasons mean, burst and queue any more")
    if signal.reasons or signal.expression:
        kept = [one[0] for one in found if one[1] in signal.reasons]
        if signal.expression:
            kept.append(_record(signal.name, signal.expression.format(cpu=max(cpu_each, 1e-4))))
        begin, end = found[0].start(), found[-1].end()
        text = text[:begin] + "".join(kept) + text[end:]
    return _looking_back(text, look_back_seconds)


def _record(reason: str, expression: str) -> str:
    return (
        "      - record: webhook:wanted_for\n"
        f"        labels: {{reason: '{reason}'}}\n"
        f"        expr: >\n          {expression}\n"
    )


def _looking_back(text: str, seconds: int) -> str:
    whole, known = f"[{LOOK_BACK_SECONDS // 60}m]", _known(LOOK_BACK_SECONDS)
    for words in (f"max_over_time(webhook:wanted_now{whole})", f"{whole}) < {known})"):
        if words not in text:
            raise RulesError(f"the look back is not `{words}` any more")
    if seconds == LOOK_BACK_SECONDS:
        return text
    shorter = text.replace(f"{whole}) < {known})", f"[{seconds}s]) < {_known(seconds)})")
    return shorter.replace(f"webhook:wanted_now{whole}", f"webhook:wanted_now[{seconds}s]")


def _known(seconds: int) -> int:
    """How many looks are enough history."""
    return int(KNOWN_PART * seconds / EVALUATION_SECONDS)
