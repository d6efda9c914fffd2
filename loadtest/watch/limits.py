"""Whether the load generator was the limit, rather than its target."""

from collections import Counter
from collections.abc import Mapping, Sequence

from loadtest.record import LoadSecond, MachineSample
from tgibf.outcome import GENERATOR_LIMITS
from tgibf.summary import LAG_WORTH_A_WARNING

BUSY_CORES = 0.95
"""It is a single thread: more than one core it can't use."""
BUSY_SECONDS = 5
RECENT = 10
"""Samples that tell how it goes now."""


def warnings(
    load: Mapping[str, Sequence[LoadSecond]], machine: Sequence[MachineSample]
) -> list[str]:
    """What is to be said of these seconds; nothing if the generators were well."""
    found = []
    for name, seconds in load.items():
        found += _of_errors(name, seconds)
        behind = max((second.behind_ms for second in seconds), default=0.0)
        if behind >= LAG_WORTH_A_WARNING * 1000:
            found.append(
                f"{name}: TGIBF fell behind its own schedule, by {behind:,.0f} ms at worst: the "
                "rate was not the one asked for, and the latency is partly its own"
            )
        busy = sum(sample.generators.get(name, 0.0) >= BUSY_CORES for sample in machine)
        if busy >= BUSY_SECONDS:
            found.append(
                f"{name}: TGIBF used a whole core in {busy:,} of {len(machine):,} s: more than it "
                "sent then it can't send, whatever the receivers could take"
            )
    return found


def _of_errors(name: str, seconds: Sequence[LoadSecond]) -> list[str]:
    errors: Counter[str] = Counter()
    for second in seconds:
        errors.update(second.errors)
    return [
        f"{name}: {errors[kind]:,} events were never sent, {kind}: this machine's limit, not the "
        "receivers'"
        for kind in sorted(GENERATOR_LIMITS)
        if errors[kind]
    ]
